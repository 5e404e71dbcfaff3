using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Rest: a run that only waits is in nobody's memory, and nobody can tell.</summary>
public sealed class RestTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static async Task<string> WaitForTwo(Scripted w)
    {
        w.Heard.Add(await w.Step("begin", () => "began"));
        await w.WaitUntil(() => w.Heard.Count == 3);
        return string.Join(",", w.Heard);
    }

    [Fact]
    public async Task A_run_that_only_waits_leaves_memory_and_comes_back_as_it_was()
    {
        await using var engine = await database.ScriptAsync(WaitForTwo);
        await engine.StartAsync("rests");
        await ReadRunAsync(engine, "rests", "began");
        await engine.PokeAsync("rests", "1");
        await engine.RestAsync("rests");
        var rested = await engine.StatusAsync("rests");
        Assert.Null(rested.Owner);
        Assert.Equal("began,1", await engine.AskAsync("rests"));
        await engine.WakeAsync("rests");
        Assert.Equal("began,1", await engine.AskAsync("rests"));
        var woken = await engine.StatusAsync("rests");
        Assert.Equal((engine.Silo, rested.Epoch + 1, rested.Position), (woken.Owner, woken.Epoch, woken.Position));
        await engine.PokeAsync("rests", "2");
        Assert.Equal("began,1,2", await engine.ResultAsync<string>("rests"));
    }

    [Fact]
    public async Task RestAfter_is_waited_for()
    {
        await using var engine = await database.ScriptAsync(WaitForTwo, builder => builder.Execution.RestAfter = TimeSpan.FromHours(1));
        await engine.StartAsync("not-yet");
        Assert.Equal("began", await ReadRunAsync(engine, "not-yet", "began"));
        engine.Engine.RestIdle();
        await engine.AskAsync("not-yet"); // Handled after what RestIdle asked for.
        Assert.NotNull(engine.Engine.Resident(new WorkflowId("not-yet")));
    }

    [Theory]
    [InlineData("step")]
    [InlineData("timer")]
    [InlineData("waiter")]
    public async Task A_run_with_work_or_a_timer_due_soon_or_a_waiter_stays(string why)
    {
        var gate = new Gate();
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await (w.Input switch
                {
                    "step" => w.Step("holds", _ => gate.PassAsync()),
                    "timer" => w.WaitUntil(() => w.Heard.Count > 0, TimeSpan.FromSeconds(4)),
                    _ => w.WaitUntil(() => w.Heard.Count > 0),
                });
                return "";
            },
            builder => builder.Execution.RestAfter = TimeSpan.Zero);
        await engine.StartAsync(why, why);
        var waiter = why == "waiter" ? engine.ResultAsync<string>(why) : Task.CompletedTask;
        await engine.AskAsync(why);
        var resident = engine.Engine.Resident(new WorkflowId(why))!;
        for (var i = 0; i < 20; i++)
        {
            engine.Engine.RestIdle();
            await engine.AskAsync(why);
        }

        Assert.Same(resident, engine.Engine.Resident(new WorkflowId(why)));
        gate.Open();
        await engine.PokeAsync(why, "end");
        await waiter;
    }

    [Fact]
    public async Task A_release_waits_for_the_commit_under_way_and_loses_nothing()
    {
        var (gate, commits) = (new Gate(), 0);
        await using var engine = await database.ScriptAsync(WaitForTwo);
        await using var other = await database.ScriptAsync(WaitForTwo);
        // Start, step, signal.
        engine.Probe.After = name => name == "commit" && Interlocked.Increment(ref commits) == 3 ? gate.PassAsync() : Task.CompletedTask;
        await engine.StartAsync("under-way");
        Assert.Equal("began", await ReadRunAsync(engine, "under-way", "began"));
        var signal = engine.PokeAsync("under-way", "1");
        await gate.Reached;
        var released = engine.Engine.ReleaseAsync(new WorkflowId("under-way"));
        Assert.False(released.IsCompleted);
        gate.Open();
        await signal;
        await released.WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Null((await other.StatusAsync("under-way")).Owner);
        await other.PokeAsync("under-way", "2");
        Assert.Equal("began,1,2", await other.ResultAsync<string>("under-way"));
    }

    /// <summary>Whoever asked for the run may die before it takes it; and Orleans deactivates grains that nobody asked for.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Work_that_is_given_away_is_found_by_the_sweeps_although_nobody_asks_for_it(bool drains) =>
        await GivesAwayAsync(leaving => drains
            ? leaving.Engine.DrainAsync(TimeSpan.FromSeconds(20))
            : Task.WhenAll(leaving.Engine.ReleaseAsync(new WorkflowId("released-works")),
                leaving.Engine.ReleaseAsync(new WorkflowId("released-waits"))).WaitAsync(TimeSpan.FromSeconds(20)),
            drains ? "drained" : "released",
            refuses: drains);

    private async Task GivesAwayAsync(Func<TestEngine, Task> give, string how, bool refuses)
    {
        var (works, waits) = ($"{how}-works", $"{how}-waits");
        var began = new Gate();
        Func<Scripted, Task<string>> Code(bool holds) => async w =>
        {
            if (w.Input == "works")
            {
                await w.Step("works", async step =>
                {
                    if (holds)
                    {
                        _ = began.PassAsync();
                        await Task.Delay(-1, step.Cancellation);
                    }
                });
            }
            else
            {
                await w.WaitUntil(() => w.Heard.Count > 0);
            }

            return "ended";
        };
        await using var leaving = await database.ScriptAsync(Code(true));
        await using var staying = await database.ScriptAsync(Code(false));
        await leaving.StartAsync(works, "works");
        await leaving.StartAsync(waits, "waits");
        await began.Reached;
        var waiter = leaving.Engine.ResultAsync(new WorkflowId(works), new ResultCall { Limit = TimeSpan.FromSeconds(20) });
        await give(leaving);
        Assert.Equal(0, leaving.Engine.ResidentCount);
        Assert.False((await waiter).Ended); // "Moved": asked elsewhere.
        Assert.Equal(1, await database.CountAsync("inbox", works));
        Assert.Equal(0, await database.CountAsync("inbox", waits));
        Assert.Null((await staying.StatusAsync(works)).Owner);
        if (refuses)
        {
            await Assert.ThrowsAsync<WorkflowUnavailableException>(() => leaving.StartAsync("new"));
            await Assert.ThrowsAsync<WorkflowUnavailableException>(() => leaving.WakeAsync(works));
        }

        await staying.WakeAsync(works);
        Assert.Equal("ended", await staying.ResultAsync<string>(works));
        Assert.Equal(0, await database.CountAsync("inbox", works));
        Assert.DoesNotContain(await database.JournalAsync(works), row => row.Contains("Failed", StringComparison.Ordinal));
        Assert.Equal(0, await database.ScalarAsync<int>($"select crash_count from actors.runs where id = '{works}'"));
    }

    [Fact]
    public async Task A_drain_rolls_open_transactions_back_and_they_take_effect_once_elsewhere()
    {
        await database.ExecuteAsync("create table moved (silo text)");
        var began = new Gate();
        Func<Scripted, Task<string>> Code(string silo) => async w =>
        {
            await w.Transaction("moves", async tx =>
            {
                await using var command = new Npgsql.NpgsqlCommand($"insert into moved values ('{silo}')", tx.Connection);
                await command.ExecuteNonQueryAsync();
                if (silo == "leaving")
                {
                    _ = began.PassAsync();
                    await Task.Delay(-1, tx.Cancellation);
                }
            });
            return silo;
        };
        await using var leaving = await database.ScriptAsync(Code("leaving"));
        await using var staying = await database.ScriptAsync(Code("staying"));
        await leaving.StartAsync("moves");
        await began.Reached;
        await leaving.Engine.DrainAsync(TimeSpan.FromSeconds(20));
        Assert.Equal("staying", await staying.ResultAsync<string>("moves"));
        Assert.Equal("staying", await database.ScalarAsync<string>("select string_agg(silo, ',') from moved"));
    }

    private static async Task<string> ReadRunAsync(TestEngine engine, string id, string until)
    {
        string look;
        while ((look = await engine.AskAsync(id)) != until)
        {
            await Task.Yield();
        }

        return look;
    }
}
