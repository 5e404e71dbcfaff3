using Actors.Storage;
using Actors.Support;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>A run whose entries the database refuses for good stops with the reason, and costs nobody anything from then on.</summary>
public sealed class RefusedEntryTests
{
    [Fact]
    public async Task An_entry_that_cannot_even_be_sent_is_refused_and_those_beside_it_commit()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var store = new Store(database.ConnectionString, slots: 1);
        await store.RegisterAsync();
        var (front, good, bad) = (await store.StartAsync("front"), await store.StartAsync("good"), await store.StartAsync("bad"));
        var held = store.HoldNext("commit");
        var first = store.CommitAsync(Store.Entry(front));
        await held.UntilReachedAsync(); // The others wait for the lane, and go together.
        var replies = Task.WhenAll(store.CommitAsync(Store.Entry(good)), store.CommitAsync(Store.Entry(bad, name: "half \uD800")));
        held.Release();
        await first;
        Assert.Equal([CommitOutcome.Committed, CommitOutcome.Rejected], (await replies).Select(reply => reply.Outcome));
    }

    [Theory]
    [InlineData("the step", "kind = 1")]
    [InlineData("even the reason", "position > 0")]
    public async Task A_run_that_the_database_refuses_stops_and_does_not_spin(string what, string refused)
    {
        await using var database = await TestDatabase.CreateAsync(); // Its trigger is nobody else's.
        await Store.ExecuteAsync(database.DataSource, $"""
            create or replace function refuse() returns trigger language plpgsql as 'begin raise exception ''not {what}''; end';
            create or replace trigger refuse before insert on actors.journal for each row when (new.{refused}) execute function refuse();
            """);
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, builder => builder.AddWorkflow<Costs>());
        await engine.StartWorkflowAsync(what, "Costs", "step");
        if (what == "the step")
        {
            var error = await Assert.ThrowsAsync<WorkflowSetAsideException>(() => engine.ResultAsync<int>(what));
            Assert.Contains("not the step", error.Message, StringComparison.Ordinal);
            Assert.Contains("not the step", (await engine.StatusAsync(what)).Problem, StringComparison.Ordinal);
        }
        else
        {
            var error = await Assert.ThrowsAsync<WorkflowUnavailableException>(() => engine.ResultAsync<int>(what));
            Assert.Contains("not even the reason", error.Message, StringComparison.Ordinal);
            Assert.InRange(engine.Probe.RoundTrips, 1, 12);
        }
    }
}
