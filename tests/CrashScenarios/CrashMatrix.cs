using System.Diagnostics;
using System.Globalization;
using Actors.Storage;

namespace Actors.CrashScenarios;

/// <summary>Plays a scenario that dies around one of its round trips, then again to its end, and checks what must be true.</summary>
internal static class CrashMatrix
{
    private const int Killed = 128 + 9;
    // Only a hang may take so long: beside a campaign, whose silos go first, a process may be a minute without a processor.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private static string Program { get; } = Path.Combine(
        AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "Actors.CrashScenarios.exe" : "Actors.CrashScenarios");

    /// <summary>In this process and without a crash: tells how many round trips there are.</summary>
    public static async Task<StatementProbe> UndisturbedAsync(string scenario)
    {
        await using var run = await CrashRun.CreateAsync(scenario);
        var life = new Life { AskAgainAfter = TimeSpan.FromSeconds(5) };
        await Scene.PlayAsync(scenario, run.Database.ConnectionString, run.Folder, life);
        await run.CheckAsync(new Dictionary<long, int>());
        return life.Probe;
    }

    /// <summary>In a process of its own, which is killed (SIGKILL).</summary>
    /// <param name="at"><c>before:k</c> or <c>after:k</c>.</param>
    /// <returns>False if there was no such round trip, and the scenario came to its end.</returns>
    /// <exception cref="DifferenceException">Something is not as it must be; the message says what, and what the database
    /// holds.</exception>
    public static Task<bool> KillAsync(string scenario, string at) => PlayTwiceAsync(scenario, async run =>
    {
        var (code, error) = await RunAsync(at, "scenario", scenario, run.Database.ConnectionString, run.Folder);
        return code is Killed or 0 ? code == Killed : throw new DifferenceException($"The process ended with {code}: {error}");
    });

    /// <summary>The same in this process: a <see cref="Life"/> that ends.</summary>
    public static Task<bool> EndLifeAsync(string scenario, string at) => PlayTwiceAsync(scenario, async run =>
    {
        var life = new Life(at, run.Database.ConnectionString);
        var play = Scene.PlayAsync(scenario, run.Database.ConnectionString, run.Folder, life);
        await await Task.WhenAny(play, life.Over).WaitAsync(Patience);
        return life.Over.IsCompleted;
    });

    private static async Task<bool> PlayTwiceAsync(string scenario, Func<CrashRun, Task<bool>> dies)
    {
        await using var run = await CrashRun.CreateAsync(scenario);
        try
        {
            var died = await dies(run);
            var epochs = await run.EpochsAsync();
            await Scene.PlayAsync(scenario, run.Database.ConnectionString, run.Folder, new Life()).WaitAsync(Patience);
            await run.CheckAsync(epochs);
            return died;
        }
        catch (Exception failure)
        {
            throw new DifferenceException($"{failure.Message.ReplaceLineEndings(" ")}\n{await run.DumpAsync()}", failure);
        }
    }

    /// <summary>This program as a process of its own, which ends at the round trip, if that is given.</summary>
    public static Process Start(string? at, params string[] arguments)
    {
        var start = new ProcessStartInfo(Program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment[StatementProbe.Variable] = at;
        start.Environment["DOTNET_TieredPGO"] = "0";
        return Process.Start(start)!;
    }

    private static async Task<(int? Code, string Error)> RunAsync(string at, params string[] arguments)
    {
        using var process = Start(at, arguments);
        using var limit = new CancellationTokenSource(Patience);
        try
        {
            var error = await process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return (process.ExitCode, error);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            return (null, string.Create(
                CultureInfo.InvariantCulture, $"it neither died nor came to its end within {Patience.TotalSeconds} s"));
        }
    }
}

/// <summary>Something is not as it must be.</summary>
internal sealed class DifferenceException(string message, Exception? inner = null) : Exception(message, inner);
