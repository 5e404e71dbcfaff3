using System.Collections.Concurrent;
using Actors.Support;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>What code may decide by is the same live and in replay.</summary>
public sealed class DeterminismTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task Now_NewGuid_and_Random_are_the_same_in_replay()
    {
        await using var engine = await database.ScriptAsync(Look);
        var live = await engine.RunAsync("same");
        Assert.Equal(live, await engine.LookAsync("same"));
        Assert.Equal(9, live.Split(',').Distinct().Count());
    }

    [Fact]
    public async Task Another_run_has_other_random_numbers()
    {
        await using var engine = await database.ScriptAsync(w => Task.FromResult($"{w.NewGuid()} {w.Random.Next()}"));
        Assert.NotEqual(await engine.RunAsync("one"), await engine.RunAsync("two"));
    }

    [Fact]
    public async Task Now_never_goes_back_even_when_the_clock_of_the_database_does()
    {
        var clock = await TestClock.CreateAsync(database);
        await using var engine = await database.ScriptAsync(async w =>
        {
            var times = new List<DateTimeOffset> { w.Now };
            for (var i = 0; i < 5; i++)
            {
                await w.Step("step", async _ => await clock.MoveAsync(TimeSpan.FromMinutes(-i)));
                times.Add(w.Now);
            }

            return times.SequenceEqual(times.Order()).ToString();
        });
        Assert.Equal("True", await engine.RunAsync("back"));
    }

    [Fact]
    public async Task Now_is_the_databases_time_of_the_last_delivered_commit()
    {
        var clock = await TestClock.CreateAsync(database);
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("later", async _ => await clock.MoveAsync(TimeSpan.FromDays(400)));
            return w.Now.ToString("O");
        });
        var now = await engine.RunAsync("at");
        Assert.Equal(
            (await database.ScalarAsync<DateTime>("select at from actors.journal j join actors.workflows w using (instance) where w.id = 'at' and j.position = 1")).ToUniversalTime(),
            DateTimeOffset.Parse(now, System.Globalization.CultureInfo.InvariantCulture).UtcDateTime);
        await clock.MoveAsync(TimeSpan.FromDays(-400));
    }

    [Fact]
    public async Task The_logger_writes_live_and_is_silent_in_replay()
    {
        var (lines, gate) = (new LogLines(), new Gate());
        async Task<string> Code(Scripted w, Func<Task> hold)
        {
            Say(w, "begins");
            await w.Step("s", () => 0);
            Say(w, "has stepped");
            await w.Step("hold", _ => hold());
            Say(w, "ends");
            return "";
        }

        await using var first = await database.ScriptAsync(w => Code(w, gate.PassAsync), logging: log => log.AddProvider(lines));
        await using var second = await database.ScriptAsync(w => Code(w, () => Task.CompletedTask), logging: log => log.AddProvider(lines));
        await first.StartAsync("log");
        await gate.Reached;
        await first.DieAsync();
        await second.RunAsync("log");
        await second.LookAsync("log");
        Assert.Equal(["begins", "has stepped", "ends"], lines.Of("Actors.Workflow.Scripted"));
        gate.Open();
    }

    private static void Say(Scripted w, string text) => w.Logger.Log(LogLevel.Information, default, text, null, (state, _) => state);

    private static async Task<string> Look(Scripted w)
    {
        for (var i = 0; i < 3; i++)
        {
            w.Heard.Add($"{w.Now:O}");
            w.Heard.Add($"{w.NewGuid()}");
            w.Heard.Add($"{w.Random.Next()}");
            await w.Step("step", () => 0);
        }

        return string.Join(",", w.Heard);
    }
}

/// <summary>Keeps what is logged.</summary>
internal sealed class LogLines : ILoggerProvider
{
    private readonly ConcurrentQueue<(string Category, string Text)> _lines = new();

    public IEnumerable<string> Of(string category) => _lines.Where(line => line.Category == category).Select(line => line.Text);

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void Dispose()
    {
    }

    private sealed class Logger(LogLines lines, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines._lines.Enqueue((category, formatter(state, exception)));
    }
}
