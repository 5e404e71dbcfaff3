using Actors.Calling;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;
using static Actors.Grains.Tests.Execution.Ledger;

namespace Actors.Grains.Tests.Execution;

/// <summary>A fault of the engine itself costs a run its memory and nothing else; one that comes again and again sets it aside; and what
/// stands still meanwhile says why.</summary>
public sealed class EngineFaultTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private const string Faults = "Actors.Workflow.Scripted";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await CreateAsync(database);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_reply_of_a_transaction_s_commit_that_throws_frees_body_and_connection_and_the_run_goes_on()
    {
        var clock = await TestClock.CreateAsync(database);
        var (calls, throws, lines) = (0, 0, new LogLines());
        await using var engine = await database.ScriptAsync(
            async w => $"{await w.Transaction("moves the clock", async tx =>
            {
                if (w.Input == "moves")
                {
                    calls++;
                    await clock.MoveAsync(TimeSpan.FromHours(1));
                    throws = 1;
                }

                return await PayAsync(tx, w.Id.Id, 1);
            })}",
            builder => builder.Execution.TransactionConnectionsMax = 1,
            log => log.AddProvider(lines));
        engine.Engine.Context.Clock.Jumped += () =>
            _ = Interlocked.Exchange(ref throws, 0) == 1 ? throw new InvalidOperationException("in the reply") : 0;
        await engine.StartAsync("thrown", "moves");
        while (!engine.Engine.Unsure.Any())
        {
            await Task.Delay(5, Cancel);
        }

        Assert.Equal("1", await engine.RunAsync("the only connection is free"));
        Assert.Single(lines.Of(Faults), line => line.Contains("met a fault of the engine, 1 time(s) by now", StringComparison.Ordinal));
        await engine.WakeAsync("thrown");
        Assert.Equal("1", await engine.ResultAsync<string>("thrown"));
        Assert.Equal(1, calls);
        Assert.Empty(engine.Engine.Context.Faults);
    }

    [Fact]
    public async Task A_run_that_meets_fault_after_fault_is_set_aside_and_its_bodies_are_not_begun_again()
    {
        var (calls, lines) = (0, new LogLines());
        await using var engine = await database.ScriptAsync(
            async w => await w.Step<string>("fails", _ =>
            {
                calls++;
                throw new IOException("what the codec does not take");
            }),
            builder => builder.Codec = new Picky(),
            log => log.AddProvider(lines));
        await engine.StartAsync("broken");
        for (var wakes = 0; (await engine.StatusAsync("broken")).Status == (int)WorkflowStatus.Running; wakes++)
        {
            Assert.InRange(wakes, 0, 400);
            await engine.WakeAsync("broken");
            await Task.Delay(5, Cancel);
        }

        Assert.Contains("the engine failed 3 times with it", (await engine.StatusAsync("broken")).Problem, StringComparison.Ordinal);
        Assert.Equal(3, lines.Of(Faults).Count(line => line.Contains("met a fault of the engine", StringComparison.Ordinal)));
        Assert.Equal(3, calls);
        Assert.Empty(engine.Engine.Context.Faults); // Resumed, it is tried three times more.
    }

    [Fact]
    public async Task A_step_that_fails_again_and_again_is_in_the_log_and_in_the_status_with_its_last_error()
    {
        var lines = new LogLines();
        var retry = Retry.Exponential(1000, TimeSpan.FromMilliseconds(1), 1, TimeSpan.FromMinutes(1));
        await using var engine = await database.ScriptAsync(
            async w => await w.Step<string>("tries", step => throw new IOException($"no {step.Attempt}"), retry),
            logging: log => log.AddProvider(lines));
        await engine.StartAsync("fails");
        string? problem;
        while ((problem = (await engine.StatusAsync("fails")).Problem) is null)
        {
            await Task.Delay(5, Cancel);
        }

        Assert.Matches("^step 'tries' .* has failed ([3-9]|[1-9][0-9]+) times, last with System.IO.IOException: no [0-9]+$", problem);
        Assert.Contains(lines.Of(Faults), line => line.Contains("attempt 3 of step 'tries'", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_commit_that_the_database_refuses_for_now_and_an_inbox_that_cannot_be_read_are_in_the_status()
    {
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await w.WaitUntil(() => w.Heard.Count > 0);
                return await w.Step("refused for now", () => "committed");
            },
            builder => builder.Services.AddSingleton<TimeProvider>(new QuickTime(20)));
        await engine.StartAsync("stands");
        engine.Probe.Before = name => name == "read letters" ? throw new InvalidOperationException("a reader") : Task.CompletedTask;
        await database.ExecuteAsync("select actors.send('default', 'stands', 'm', 'Poke', '[\"heard\"]')");
        await engine.WakeAsync("stands");
        await UntilProblemAsync(engine, "Its inbox could not be read 3 times, last with a reader");
        Assert.StartsWith("'read letters' has failed ", engine.Probe.Trouble, StringComparison.Ordinal);
        await database.ExecuteAsync("""
            create function full_disk() returns trigger language plpgsql as $$
                begin raise exception 'no room' using errcode = '53100'; end $$;
            create trigger full_disk before insert on actors.journal
                for each row when (new.name = 'refused for now') execute function full_disk();
            """);
        engine.Probe.Before = null;
        await UntilProblemAsync(engine, "A commit of it has been under way for ");
        Assert.StartsWith("'commit' has failed ", engine.Probe.Trouble, StringComparison.Ordinal);
        await database.ExecuteAsync("drop trigger full_disk on actors.journal");
        Assert.Equal("committed", await engine.ResultAsync<string>("stands", TimeSpan.FromSeconds(30)));
        Assert.Null((await engine.StatusAsync("stands")).Problem);
        Assert.Null(engine.Probe.Trouble);
    }

    private static async Task UntilProblemAsync(TestEngine engine, string begins)
    {
        while ((await engine.StatusAsync("stands")).Problem?.StartsWith(begins, StringComparison.Ordinal) != true)
        {
            await Task.Delay(20, Cancel);
        }
    }

    [Theory]
    [InlineData("attempt 1 of step 'fails'")]
    [InlineData("was interrupted")]
    [InlineData("is set aside")]
    [InlineData("")]
    public async Task A_logger_that_throws_loses_its_lines_and_nothing_else(string words)
    {
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                w.Logger.Log(LogLevel.Information, default, "said by the code", null, (text, _) => text);
                var retry = Retry.Exponential(2, TimeSpan.FromMilliseconds(1));
                await w.Step("fails", step => step.Attempt == 1 ? throw new IOException() : Task.FromResult(0), retry);
                var died = 0;
                const string Dies = "select pg_terminate_backend(pg_backend_pid())";
                await w.Transaction("dies once", tx => RunAsync(tx, died++ == 0 ? Dies : "select 1"));
                _ = w.Step("forgotten", () => 0);
                return "";
            },
            logging: log => log.AddProvider(new Broken(words)));
        await engine.StartAsync($"logs {words}");
        var aside = await Assert.ThrowsAsync<WorkflowSetAsideException>(
            () => engine.ResultAsync<string>($"logs {words}", TimeSpan.FromSeconds(30)));
        Assert.Contains("'forgotten'", aside.Message, StringComparison.Ordinal);
    }

    /// <summary>Throws over some payloads, and takes the others as they are.</summary>
    private sealed class Picky : IPayloadCodec
    {
        public byte[]? Encode(ReadOnlySpan<byte> json) =>
            json.IndexOf("what the codec does not take"u8) < 0 ? null : throw new InvalidOperationException("a codec");

        public byte[] Decode(ReadOnlySpan<byte> bytes) => bytes.ToArray();
    }

    /// <summary>A logger that throws over some words: what it throws is nobody's who is asked to catch it.</summary>
    private sealed class Broken(string words) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            _ = formatter(state, exception).Contains(words, StringComparison.Ordinal) ? throw new InvalidOperationException("a logger") : 0;

        public void Dispose()
        {
        }
    }
}
