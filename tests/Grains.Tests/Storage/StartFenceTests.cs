using Actors.Grains.Tests.Execution;
using Actors.Housekeeping;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>A start needs its silo's living row, and a run whose owner nobody knows is found.</summary>
public sealed class StartFenceTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Theory]
    [InlineData("update actors.silos set dead_at = now() where id = '{0}'")]
    [InlineData("delete from actors.silos where id = '{0}'")]
    public async Task A_silo_that_was_declared_dead_starts_nothing_more(string declare)
    {
        await using var engine = await database.ScriptAsync(w => Task.FromResult(""));
        await engine.RunAsync($"before {declare.Length}");
        await database.ExecuteAsync(string.Format(System.Globalization.CultureInfo.InvariantCulture, declare, engine.Silo));
        foreach (var policy in (StartPolicy[])[StartPolicy.Attach, StartPolicy.StartNew])
        {
            await Assert.ThrowsAsync<WorkflowUnavailableException>(() => engine.StartAsync("late", policy: policy));
        }

        await Assert.ThrowsAsync<WorkflowUnavailableException>(
            () => Task.WhenAll(Enumerable.Range(0, 20).Select(i => engine.StartAsync($"late {i}"))));
        Assert.Equal(0, await database.ScalarAsync<int>("select count(*) from actors.runs where id like 'late%'"));
    }

    [Fact]
    public async Task Entries_in_the_group_of_a_refused_start_commit_all_the_same()
    {
        await using var store = new Store(database.ConnectionString, slots: 1);
        var run = await store.StartAsync("runs on");
        var late = await store.NewStartAsync("refused");
        await Store.ExecuteAsync(database.DataSource, $"update actors.silos set dead_at = now() where id = '{store.Silo}'");
        var held = store.HoldNext("commit");
        var blocker = store.CommitAsync(Store.Entry(run));
        await held.UntilReachedAsync();
        var (start, entry) = (store.Journal.StartAsync(late), store.CommitAsync(Store.Entry(run, position: 1)));
        held.Release();
        Assert.Equal(CommitOutcome.Committed, (await blocker).Outcome);
        Assert.Equal((CommitOutcome.Rejected, "AC004"), ((await start).Outcome, ((PostgresException)(await start).Error!).SqlState));
        Assert.Equal(CommitOutcome.Committed, (await entry).Outcome); // It has a fence of its own.
    }

    [Fact]
    public async Task A_run_whose_owner_has_no_row_is_found_and_goes_on()
    {
        await using var lost = await database.ScriptAsync(Waits);
        await lost.StartAsync("without an owner");
        // Buried and forgotten, while its start was on its way.
        await database.ExecuteAsync($"delete from actors.silos where id = '{lost.Silo}'");
        await using var engine = await database.ScriptAsync(Waits);
        var partitions = new PartitionSet();
        Enumerable.Range(0, Partition.RangeCount).ToList().ForEach(range => partitions.Hold(range, engine));
        var taken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var stop = new CancellationTokenSource();
        var sweeping = new Sweeper(
            engine.Engine.Context.Database, partitions, engine.Engine.Context.Codes,
            new SweepSettings(TimeSpan.FromMilliseconds(50), TimeSpan.FromHours(1), TimeSpan.FromSeconds(5)),
            async id =>
            {
                await engine.Engine.WakeAsync(id);
                taken.TrySetResult();
            },
            () => 100, () => [], engine.Engine.Context.Clock.Observe, () => { }, NullLogger<Sweeper>.Instance).RunAsync(stop.Token);
        await taken.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.NotNull(engine.Engine.Resident(new WorkflowId("without an owner")));
        await engine.PokeAsync("without an owner", "heard");
        Assert.Equal("heard", await engine.ResultAsync<string>("without an owner"));
        await stop.CancelAsync();
        await sweeping;
    }

    private static async Task<string> Waits(Scripted w)
    {
        await w.WaitUntil(() => w.Heard.Count > 0);
        return w.Heard[0];
    }
}
