using Actors.Support;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Timers: by the database's clock, once, and cheap while they wait.</summary>
public sealed class TimerTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static readonly TimeSpan Year = TimeSpan.FromDays(365);

    [Fact]
    public async Task A_sleep_ends_not_before_its_time_and_soon_after()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            var began = w.Now;
            await w.Sleep(TimeSpan.FromMilliseconds(100));
            return $"{(w.Now - began).TotalMilliseconds}";
        });
        var slept = double.Parse(await engine.RunAsync("short"), System.Globalization.CultureInfo.InvariantCulture);
        Assert.InRange(slept, 100, 5000);
    }

    [Fact]
    public async Task A_wait_without_an_end_costs_no_timer_and_a_sleep_without_one_is_refused()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => { _ = w.Sleep(Timeout.InfiniteTimeSpan); });
            await w.Sleep(TimeSpan.FromDays(-1));
            await w.WaitUntil(() => w.Heard.Count > 0);
            return "True";
        });
        await engine.StartAsync("endless");
        Assert.Equal("", await engine.AskAsync("endless"));
        await engine.PokeAsync("endless", "now");
        Assert.Equal("True", await engine.ResultAsync<string>("endless"));
        Assert.Single(await database.JournalAsync("endless"), row => row.Contains("TimerSet", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Waits_that_were_given_up_hold_nothing_though_their_time_is_far()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            for (var i = 1; w.Id.Id == "gives up" && i <= 20; i++)
            {
                var n = i;
                await w.WaitUntil(() => w.Heard.Count >= n, Year);
            }

            return "done";
        });
        await engine.StartAsync("gives up");
        var run = new WeakReference(engine.Engine.Resident(new WorkflowId("gives up")));
        for (var i = 1; i <= 20; i++)
        {
            await engine.PokeAsync("gives up", $"{i}");
        }

        Assert.Equal("done", await engine.ResultAsync<string>("gives up"));
        var passed = 0;
        for (var began = System.Diagnostics.Stopwatch.GetTimestamp(); run.IsAlive;)
        {
            // Timers look again after 30 s.
            Assert.True(System.Diagnostics.Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(15), "The run is still held.");
            await engine.RunAsync($"passes by {passed++}"); // Whatever kept the last run that it had keeps this one now.
            GC.Collect();
            await Task.Delay(50);
        }
    }

    [Fact]
    public async Task A_timer_does_not_fire_early_when_the_clock_was_moved_back_and_holds_nothing_else_up()
    {
        var clock = await TestClock.CreateAsync(database);
        await using var engine = await database.ScriptAsync(async w =>
        {
            var due = w.Now + TimeSpan.FromMilliseconds(200);
            var sleep = w.SleepUntil(due);
            await w.Step("moves", async _ => await clock.MoveAsync(TimeSpan.FromHours(-1)));
            await w.WaitUntil(() => w.Heard.Count > 0);
            await sleep;
            return (w.Now >= due).ToString();
        });
        var early = new Gate();
        engine.Probe.After = name => Task.FromResult(name == "resolve" ? early.PassAsync() : Task.CompletedTask);
        await engine.StartAsync("back");
        await early.Reached; // The process believed that it was time, and the database refused.
        var statements = engine.Probe.RoundTrips;
        await engine.PokeAsync("back", "meanwhile");
        Assert.Equal("meanwhile", await engine.AskAsync("back"));
        Assert.DoesNotContain(await database.JournalAsync("back"), row => row.Contains("TimerFired", StringComparison.Ordinal));
        Assert.InRange(engine.Probe.RoundTrips - statements, 1, 10);
        await clock.MoveAsync(TimeSpan.FromHours(1));
        await engine.HearClockAsync();
        Assert.Equal("True", await engine.ResultAsync<string>("back"));
        Assert.Single(await database.JournalAsync("back"), row => row.Contains("TimerFired", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_sleep_of_a_year_costs_one_row_and_no_memory_and_wakes_when_the_year_is_over()
    {
        var clock = await TestClock.CreateAsync(database);
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Sleep(Year);
            return "awake";
        });
        await engine.StartAsync("year");
        await engine.RestAsync("year");
        Assert.Equal(0, engine.Engine.ResidentCount);
        Assert.Equal(1, await database.CountAsync("timers", "year"));
        Assert.Equal(2, (await database.JournalAsync("year")).Count);

        await engine.WakeAsync("year"); // Too early: it sleeps on.
        await engine.RestAsync("year");
        await clock.MoveAsync(Year);
        await engine.HearClockAsync();
        Assert.Equal("awake", await engine.ResultAsync<string>("year"));
        Assert.Equal(0, await database.CountAsync("timers", "year"));
        await clock.MoveAsync(-Year);
    }

    [Fact]
    public async Task A_resident_timer_fires_at_once_when_the_clock_moves_past_it()
    {
        var clock = await TestClock.CreateAsync(database);
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Sleep(TimeSpan.FromMinutes(10));
            return "awake";
        });
        await engine.StartAsync("jump");
        await clock.MoveAsync(TimeSpan.FromMinutes(11));
        await engine.HearClockAsync();
        Assert.Equal("awake", await engine.ResultAsync<string>("jump"));
    }

    [Fact]
    public async Task A_timer_fires_once_when_its_silo_dies_around_it()
    {
        foreach (var before in new[] { true, false })
        {
            var (id, gate) = ($"once-{before}", new Gate());
            Func<Scripted, Task<string>> code = async w =>
            {
                await w.Sleep(TimeSpan.FromMilliseconds(20));
                return "awake";
            };
            await using var first = await database.ScriptAsync(code);
            await using var second = await database.ScriptAsync(code);
            var commits = 0;
            // Start, set, fired.
            Task Hold(string name) => name == "commit" && Interlocked.Increment(ref commits) == 3 ? gate.PassAsync() : Task.CompletedTask;
            first.Probe.Before = before ? Hold : null;
            first.Probe.After = before ? null : Hold;
            await first.StartAsync(id);
            await gate.Reached;
            await first.DieAsync();
            Assert.Equal("awake", await second.RunAsync(id));
            gate.Open();
            await first.LeftAsync(id);
            Assert.Single(await database.JournalAsync(id), row => row.Contains("TimerFired", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Timers_that_nobody_waits_for_any_more_are_gone_at_the_next_rest_and_at_the_end()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count == 1, Year); // Given up.
            _ = await Task.WhenAny(w.Sleep(Year), w.Step("wins", () => 0)); // Lost.
            await w.WaitUntil(() => w.Heard.Count == 2);
            return "";
        });
        await engine.StartAsync("given-up");
        await engine.PokeAsync("given-up", "1");
        await engine.RestAsync("given-up");
        Assert.Equal(1, await database.CountAsync("timers", "given-up"));
        await engine.PokeAsync("given-up", "2");
        await engine.ResultAsync<string>("given-up");
        Assert.Equal(0, await database.CountAsync("timers", "given-up"));
    }

    [Fact]
    public async Task A_recorded_timer_keeps_its_time_when_the_code_asks_for_another()
    {
        var clock = await TestClock.CreateAsync(database);
        await using var first = await database.ScriptAsync(async w => { await w.Sleep(TimeSpan.FromMinutes(20)); return "first"; });
        await using var second = await database.ScriptAsync(async w => { await w.Sleep(TimeSpan.FromDays(1)); return "second"; });
        await first.StartAsync("kept");
        await first.RestAsync("kept");
        await clock.MoveAsync(TimeSpan.FromMinutes(21));
        await second.HearClockAsync();
        Assert.Equal("second", await second.ResultAsync<string>("kept"));
    }
}
