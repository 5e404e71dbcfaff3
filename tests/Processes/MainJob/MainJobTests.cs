using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Processes.MainJob;

/// <summary>The main job as a newcomer runs it: the program itself, with its silos, services and kills, on a database of its own.</summary>
public sealed partial class MainJobTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly string _root = Directory.CreateTempSubdirectory("actors-test-").FullName;
    private TestDatabase _database = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string File => Path.Combine(_root, "orders.jsonl");

    public async ValueTask InitializeAsync() => _database = await TestDatabase.CreateAsync();

    public async ValueTask DisposeAsync()
    {
        await RunAsync("--stop");
        await _database.DisposeAsync();
        Directory.Delete(_root, recursive: true);
    }

    [Fact]
    public async Task Silos_killed_one_by_one_and_all_together_lose_nothing_and_a_second_run_changes_nothing()
    {
        var (orders, kills) = TestTier.IsAll ? (120, 3) : (60, 2);
        await WriteOrdersAsync(orders);

        var first = await RunAsync(File, "--silos", "2", "--crash", $"{kills}", "--seed", "5");
        Assert.Equal(0, first.Code);
        Assert.Matches($"^RECONCILED orders={orders} completed=[0-9]+ compensated=[0-9]+ kills={kills}$", first.LastLine);

        var second = await RunAsync(File);
        Assert.Equal(0, second.Code);
        Assert.Equal(first.LastLine.Replace($"kills={kills}", "kills=0", StringComparison.Ordinal), second.LastLine);
    }

    [OnlyInAll]
    [Fact]
    public async Task A_crash_runs_orders_that_have_ended_anew()
    {
        await WriteOrdersAsync(20);
        Assert.Equal(0, (await RunAsync(File)).Code);

        var anew = await RunAsync(File, "--crash", "1");
        Assert.Equal(0, anew.Code);
        Assert.Contains("this is round 2", anew.Output, StringComparison.Ordinal);
        Assert.Matches("^RECONCILED orders=20 .* kills=1$", anew.LastLine);
    }

    [OnlyInAll]
    [Fact]
    public async Task A_bad_line_is_reported_with_its_number_what_differs_is_said_and_the_exit_is_1()
    {
        await WriteOrdersAsync(5, "not an order");
        var skipped = await RunAsync(File);

        Assert.Equal(1, skipped.Code);
        Assert.Contains("line 6 is skipped", skipped.Output, StringComparison.Ordinal);
        Assert.StartsWith("RECONCILED orders=5 ", skipped.LastLine);

        await using (var damage = _database.DataSource.CreateCommand(
            "update orders.stock set available = available - 1 where sku = (select min(sku) from orders.stock)"))
        {
            await damage.ExecuteNonQueryAsync(Cancellation);
        }

        await WriteOrdersAsync(6);
        var damaged = await RunAsync(File);

        Assert.Equal(1, damaged.Code);
        Assert.Matches("^NOT RECONCILED orders=6 .* differences=1: stock s-", damaged.LastLine);
    }

    [OnlyInAll]
    [Fact]
    public async Task A_killed_supervisor_leaves_nothing_that_the_next_run_or_stop_does_not_end()
    {
        await WriteOrdersAsync(3);
        var (serving, url) = await ServeAsync();
        var second = await RunAsync(File);
        Assert.Equal(2, second.Code);       // one run at a time

        // Frozen, the silo cannot see that its supervisor is gone, and stays.
        var silo = ProcessId("silo-1");
        await SignalAsync("STOP", silo);
        serving.Kill();
        await serving.WaitForExitAsync(Cancellation);
        var third = await RunAsync(File);

        Assert.Equal(0, third.Code);
        Assert.Contains("silo-1",
            third.Output.Split('\n').Single(line => line.StartsWith("Ended what an earlier run left", StringComparison.Ordinal)),
            StringComparison.Ordinal);
        Assert.StartsWith("RECONCILED orders=3 ", third.LastLine);
        Assert.ThrowsAny<ArgumentException>(() => Process.GetProcessById(silo));

        var (again, sameUrl) = await ServeAsync();
        Assert.Equal(url, sameUrl);         // ports are kept
        Assert.Equal(0, (await RunAsync("--stop")).Code);
        await again.WaitForExitAsync(Cancellation).WaitAsync(Patience, Cancellation);
        serving.Dispose();
        again.Dispose();
    }

    [OnlyInAll]
    [Fact]
    public async Task Serve_prints_its_first_url_answers_health_and_brings_a_dead_silo_back()
    {
        await WriteOrdersAsync(3);
        var (serving, url) = await ServeAsync();
        using var http = new HttpClient { BaseAddress = url };

        Assert.True((await http.GetAsync(new Uri("health/live", UriKind.Relative), Cancellation)).IsSuccessStatusCode);
        Assert.True((await http.GetAsync(new Uri("health/ready", UriKind.Relative), Cancellation)).IsSuccessStatusCode);
        Assert.Contains("silos alive          1", await http.GetStringAsync(new Uri("/", UriKind.Relative), Cancellation),
            StringComparison.Ordinal);

        await SignalAsync("KILL", ProcessId("silo-1"));
        for (var waited = Stopwatch.StartNew(); !await IsReadyAsync(http); await Task.Delay(100, Cancellation))
        {
            Assert.True(waited.Elapsed < Patience, "The silo did not come back.");
        }

        await SignalAsync("TERM", serving.Id);
        await serving.WaitForExitAsync(Cancellation).WaitAsync(Patience, Cancellation);
        Assert.Equal(0, serving.ExitCode);
        serving.Dispose();
    }

    [Theory]
    [InlineData(2, "no-such-file.jsonl")]
    [InlineData(2, "--bogus")]
    [InlineData(2, "--silos", "0")]
    [InlineData(2, "--crash", "-1")]
    [InlineData(2, "silo", "--payments", "nonsense")]
    public async Task What_cannot_be_done_is_a_usage_error(int code, params string[] arguments) =>
        Assert.Equal(code, (await RunAsync(arguments)).Code);

    private static async Task<bool> IsReadyAsync(HttpClient http)
    {
        try
        {
            return (await http.GetAsync(new Uri("health/ready", UriKind.Relative), Cancellation)).IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static async Task SignalAsync(string signal, int process)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{process}"]);
        await kill.WaitForExitAsync(Cancellation);
    }

    private async Task WriteOrdersAsync(int count, params string[] more)
    {
        var made = await RunAsync("generate", "--count", $"{count}", "--seed", "3");
        await System.IO.File.WriteAllLinesAsync(File, [.. made.Output.Trim().Split('\n'), .. more], Cancellation);
    }

    private int ProcessId(string name)
    {
        using var state = JsonDocument.Parse(System.IO.File.ReadAllBytes(Path.Combine(_root, ".actors", "run.json")));
        return state.RootElement.GetProperty("Processes").GetProperty(name).GetProperty("Id").GetInt32();
    }

    /// <summary>A run with --serve whose job is done.</summary>
    private async Task<(Process Serving, Uri Url)> ServeAsync()
    {
        var process = Start(File, "--serve");
        _ = process.StandardError.ReadToEndAsync(Cancellation);
        Uri? url = null;
        while (await process.StandardOutput.ReadLineAsync(Cancellation).AsTask().WaitAsync(Patience, Cancellation) is { } line)
        {
            if (FirstUrl().Match(line) is { Success: true } match)
            {
                url ??= line.StartsWith("Actors: ", StringComparison.Ordinal) ? new Uri(match.Value)
                    : throw new InvalidOperationException(line);
            }

            if (line.StartsWith("RECONCILED", StringComparison.Ordinal))
            {
                _ = process.StandardOutput.ReadToEndAsync(Cancellation);
                return (process, url!);
            }
        }

        throw new InvalidOperationException("The run ended.");
    }

    private async Task<(int Code, string Output, string LastLine)> RunAsync(params string[] arguments)
    {
        using var process = Start(arguments);
        try
        {
            var output = await Task.WhenAll(
                process.StandardError.ReadToEndAsync(Cancellation), process.StandardOutput.ReadToEndAsync(Cancellation))
                .WaitAsync(Patience, Cancellation);
            await process.WaitForExitAsync(Cancellation);
            return (process.ExitCode, string.Join('\n', output), output[1].Trim().Split('\n')[^1]);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();     // its children see their input end
            }
        }
    }

    private Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo(
            BuiltProgram.Orders, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _root };
        start.Environment["ACTORS_ROOT"] = _root;
        start.Environment["ACTORS_POSTGRES"] = _database.ConnectionString;
        return Process.Start(start)!;
    }

    [GeneratedRegex(@"https?://\S+")]
    private static partial Regex FirstUrl();
}
