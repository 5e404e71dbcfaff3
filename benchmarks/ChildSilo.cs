using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Actors.Benchmarks;

/// <summary>A silo in a process of its own, told by lines on its standard input what to do: it can be killed, and be one of
/// several.</summary>
internal sealed class ChildSilo : IAsyncDisposable
{
    public const string Option = "--child-silo";
    private readonly Process _process;

    private ChildSilo(Process process) => _process = process;

    public static async Task<ChildSilo> StartAsync(string connectionString)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [Option]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        start.Environment["ACTORS_BENCH_DATABASE"] = connectionString;
        var child = new ChildSilo(Process.Start(start)!);
        await child.HearAsync();
        return child;
    }

    /// <summary>The process that <see cref="StartAsync"/> made. Ends with its input.</summary>
    public static async Task RunAsync()
    {
        await using var silo = await SiloUnderTest.StartAsync(Environment.GetEnvironmentVariable("ACTORS_BENCH_DATABASE")!);
        Console.WriteLine("ready");
        while (await Console.In.ReadLineAsync() is { } line)
        {
            var words = line.Split(' ');
            var measure = await silo.LoadAsync(Number(words[0]), TimeSpan.FromSeconds(Number(words[1])));
            Console.WriteLine(JsonSerializer.Serialize(measure));
        }
    }

    public async Task<Measure> LoadAsync(int concurrency, TimeSpan duration)
    {
        await _process.StandardInput.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{concurrency} {(int)duration.TotalSeconds}"));
        await _process.StandardInput.FlushAsync();
        return JsonSerializer.Deserialize<Measure>(await HearAsync())!;
    }

    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.StandardInput.Close();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private static int Number(string word) => int.Parse(word, CultureInfo.InvariantCulture);

    private async Task<string> HearAsync() =>
        await _process.StandardOutput.ReadLineAsync() ?? throw new InvalidOperationException("A silo's process ended.");
}
