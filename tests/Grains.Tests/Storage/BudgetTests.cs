using System.Collections.Concurrent;
using Actors.Support;
using Actors.Wire;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>What each kind of transition costs: round trips to Postgres, in their order, and commits of the journal.</summary>
public sealed class BudgetTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private readonly ConcurrentQueue<string> _trips = new();
    private TestEngine _engine = null!;

    public async ValueTask InitializeAsync()
    {
        _engine = await TestEngine.StartAsync(database.ConnectionString, builder =>
        {
            builder.AddWorkflow<Costs>();
            builder.Execution.LookAhead = TimeSpan.FromSeconds(1);
            builder.Outbox.Add("here", new HandlerSink((_, _) => Task.CompletedTask), "*");
        });
        _engine.Probe.Before = name =>
        {
            if (name != "take instances") // Once a second at most.
            {
                _trips.Enqueue(name);
            }

            return Task.CompletedTask;
        };
        await RunAsync("warm");
        _trips.Clear();
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();

    [Theory]
    [InlineData("nothing", "commit,commit")] // Start, end.
    [InlineData("step", "commit,commit,commit")]
    [InlineData("step with message", "commit,commit,commit")]
    [InlineData("three steps", "commit,commit,commit,commit,commit")]
    [InlineData("transaction", "commit,commit transaction,commit")]
    [InlineData("sleep", "commit,commit,commit,commit")] // Set, fired.
    [InlineData("publish", "commit,commit,commit,commit")] // The message does not wait for the step beside it.
    public async Task A_run_costs_these_round_trips(string what, string trips)
    {
        var groups = _engine.Engine.Context.Journal.GroupsCommitted;
        await RunAsync(what);
        Assert.Equal(trips, string.Join(',', _trips));
        Assert.Equal(trips.Split(',').Count(name => name == "commit"), _engine.Engine.Context.Journal.GroupsCommitted - groups);
    }

    [Fact]
    public async Task A_signal_costs_one_commit_to_a_resident_and_a_claim_more_to_one_at_rest()
    {
        await _engine.StartWorkflowAsync("signalled", "Costs", "two letters");
        _trips.Clear();
        await _engine.SendAsync("signalled", "letter", 1);
        Assert.Equal(["commit"], _trips);
        await UntilAtRestAsync("signalled");
        Assert.Equal(["commit", "commit"], _trips);

        _trips.Clear();
        await _engine.SendAsync("signalled", "letter", 2);
        Assert.Equal(["claim", "commit"], _trips.Take(2)); // Its end follows.
    }

    [Fact]
    public async Task A_start_with_a_delay_costs_one_commit_and_its_begin_a_claim_and_its_letters()
    {
        var payload = _engine.Engine.Context.Payloads.Write("step", $"input");
        var id = new WorkflowId("delayed");
        await _engine.Engine.StartAsync(id, new StartCall("Costs", payload, StartPolicy.Attach, null, Delay: TimeSpan.FromHours(1)));
        Assert.Equal(["commit"], _trips);
        await using var now = database.DataSource.CreateCommand("update actors.timers set due_at = actors.now() where kind = 2");
        await now.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        _trips.Clear();
        await _engine.Engine.WakeAsync(id);
        await UntilGoneAsync("delayed");
        Assert.Equal(["claim", "bring back", "read letters", "commit", "commit"], _trips);
    }

    [Fact]
    public async Task A_signal_to_a_further_run_costs_a_look_more_and_a_start_of_one_two_looks()
    {
        await _engine.StartWorkflowAsync("further", "Costs", "two letters");
        await _engine.SendAsync("further", "letter", 1);
        await _engine.SendAsync("further", "letter", 2);
        await UntilGoneAsync("further");
        _trips.Clear();
        var payload = _engine.Engine.Context.Payloads.Write("two letters", $"input");
        await _engine.Engine.StartAsync(new WorkflowId("further"), new StartCall("Costs", payload, StartPolicy.StartNew, null, "request"));
        // The id is taken, by whom, not by this request; then the start.
        Assert.Equal(["commit", "look", "find message", "commit"], _trips);
        _trips.Clear();
        await _engine.SendAsync("further", "letter", 3);
        Assert.Equal(["find message", "commit"], _trips);
    }

    [Fact]
    public async Task Under_load_steps_share_their_commits()
    {
        const int Runs = 200;
        await Task.WhenAll(Enumerable.Range(0, Runs).Select(i => RunAsync("three steps", $"load {i}")));
        // A start, three steps and an end each: five transitions.
        Assert.InRange(_trips.Count(name => name == "commit"), 1, Runs * 5 / 4);
        Assert.Empty(_trips.Where(name => name is not "commit"));
    }

    private async Task RunAsync(string what, string? id = null)
    {
        await _engine.StartWorkflowAsync(id ?? $"{what} {Guid.NewGuid()}", "Costs", what);
        id ??= _engine.Engine.Residents.FirstOrDefault()?.Id.Id;
        if (id is not null)
        {
            await UntilGoneAsync(id);
        }
    }

    private async Task UntilGoneAsync(string id)
    {
        if (_engine.Engine.Resident(new WorkflowId(id)) is { } resident)
        {
            await resident.Left.WaitAsync(TimeSpan.FromSeconds(30));
        }
    }

    private async Task UntilAtRestAsync(string id)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (_engine.Engine.Resident(new WorkflowId(id)) is { } resident)
        {
            resident.RestIfIdle(TimeSpan.Zero);
            await Task.WhenAny(resident.Left, Task.Delay(5, limit.Token));
            limit.Token.ThrowIfCancellationRequested();
        }
    }
}

public sealed class Costs : Workflow<string, int>
{
    protected override async Task<int> RunAsync(string input)
    {
        switch (input)
        {
            case "step":
                return await Step("a", _ => Task.FromResult(1));
            case "step with message":
                return await Step("a", step =>
                {
                    step.Publish("topic", "key", "message");
                    return Task.FromResult(1);
                });
            case "three steps":
                return await Step("a", _ => Task.FromResult(1)) + await Step("b", _ => Task.FromResult(1)) + await Step(
                    "c", _ => Task.FromResult(1));
            case "transaction":
                return await Transaction("t", async tx =>
                {
                    await using var command = new NpgsqlCommand("select 1", tx.Connection);
                    return (int)(await command.ExecuteScalarAsync(tx.Cancellation))!;
                });
            case "sleep":
                await Sleep(TimeSpan.FromMilliseconds(10));
                return 1;
            case "publish":
                Publish("topic", "key", "message");
                await Step("a", _ => Task.FromResult(1));
                return 1;
            case "two letters":
                return await Receive<int>("letter") + await Receive<int>("letter");
            default:
                return 0;
        }
    }
}
