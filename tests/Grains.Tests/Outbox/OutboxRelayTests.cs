using Npgsql;
using Xunit;

namespace Actors.Outbox;

/// <summary>What the relay promises while sinks answer.</summary>
public sealed class OutboxRelayTests(OutboxScene scene) : IClassFixture<OutboxScene>, IAsyncLifetime
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await scene.ClearAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_lane_is_delivered_in_order_and_once_while_one_relay_runs()
    {
        var sink = new RecordingSink();
        long[] workflows = [await scene.WorkflowAsync(), await scene.WorkflowAsync(), await scene.WorkflowAsync()];
        await using (var running = scene.Run(OutboxScene.Route(sink)))
        {
            for (var round = 0; round < 10; round++)
            {
                foreach (var workflow in workflows)
                {
                    await scene.PublishAsync(workflow, "a", round * 30, count: 30);
                    await scene.PublishAsync(workflow, "b", round * 30, count: 30);
                    running.Relay.Nudge();
                }
            }

            await sink.UntilDeliveredAsync(3 * 2 * 300);
        }

        Assert.All(sink.Delivered.GroupBy(message => (message.Workflow, message.Key)), lane =>
            Assert.Equal(Enumerable.Range(0, 300).Select(value => $"{value}"), lane.Select(RecordingSink.Text)));
        Assert.Equal(0, await scene.ReadAsync<long>("select count(*) from actors.outbox"));
    }

    [Fact]
    public async Task A_message_says_whose_it_is()
    {
        var sink = new RecordingSink();
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "customer-7", 42);
        var run = await scene.ReadAsync<Guid>("select run from actors.workflows");
        var ordinal = await scene.ReadAsync<int>("select ordinal from actors.outbox");
        await using var running = scene.Run(OutboxScene.Route(sink));
        await sink.UntilDeliveredAsync(1);
        var message = Assert.Single(sink.Delivered);
        Assert.Equal(($"{run}:{ordinal}", new WorkflowId($"w-{workflow}"), run, "Checkout", "orders", "customer-7", "42", 1),
            (message.Id, message.Workflow, message.Run, message.WorkflowType, message.Topic, message.Key, RecordingSink.Text(message), message.Attempt));
    }

    [Fact]
    public async Task A_transaction_that_commits_late_with_a_lower_id_is_delivered()
    {
        var sink = new RecordingSink();
        var (late, early) = (await scene.WorkflowAsync(), await scene.WorkflowAsync());
        await using var running = scene.Run(OutboxScene.Route(sink));
        await using var connection = await scene.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await OutboxScene.PublishAsync(transaction, late, "k", 1);
        await scene.PublishAsync(early, "k", 2);
        running.Relay.Nudge();
        await sink.UntilDeliveredAsync(1);
        Assert.Equal(["2"], sink.Texts);
        await transaction.CommitAsync(Cancel);
        running.Relay.Nudge();
        await sink.UntilDeliveredAsync(2);
        Assert.Equal(["2", "1"], sink.Texts);
    }

    [Fact]
    public async Task A_row_that_commits_behind_the_page_end_keeps_its_successor_back_until_the_next_pass()
    {
        // Pages are read by hand: the first, then the late commit and its successor, then the rest of the same pass.
        var (late, other) = (await scene.WorkflowAsync(), await scene.WorkflowAsync());
        var table = new Actors.Storage.OutboxTable(scene.DataSource);
        short[] partitions = [.. Enumerable.Range(0, 1024).Select(partition => (short)partition)];
        await using var connection = await scene.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await OutboxScene.PublishAsync(transaction, late, "k", 1);
        await scene.PublishAsync(other, "k", 9);
        var (first, end) = await table.ReadPageAsync("hook", partitions, 0, scan: 1, lanes: 10, rowsPerLane: 10, [], Cancel);
        Assert.Equal(other, Assert.Single(first).Lane.Instance);
        await transaction.CommitAsync(Cancel);
        await scene.PublishAsync(late, "k", 2);
        var (second, _) = await table.ReadPageAsync("hook", partitions, end!.Value, 10, 10, 10, [], Cancel);
        Assert.Empty(second);
        var (next, _) = await table.ReadPageAsync("hook", partitions, 0, 10, 10, 10, [first[0].Lane], Cancel);
        Assert.Equal([1, 2], next.Select(row => int.Parse(row.Payload.Data!)));
    }

    [Fact]
    public async Task A_message_of_an_aborted_transaction_is_never_delivered()
    {
        var sink = new RecordingSink();
        var workflow = await scene.WorkflowAsync();
        await using var running = scene.Run(OutboxScene.Route(sink));
        await using (var connection = await scene.DataSource.OpenConnectionAsync(Cancel))
        await using (var transaction = await connection.BeginTransactionAsync(Cancel))
        {
            await OutboxScene.PublishAsync(transaction, workflow, "k", 1);
            running.Relay.Nudge();
            await transaction.RollbackAsync(Cancel);
        }

        await scene.PublishAsync(workflow, "k", 2);
        running.Relay.Nudge();
        await sink.UntilDeliveredAsync(1);
        Assert.Equal(["2"], sink.Attempts.Select(RecordingSink.Text));
    }

    [Fact]
    public async Task A_crash_between_delivery_and_deletion_delivers_again_with_the_same_id()
    {
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "k", 1);
        var before = new RecordingSink();
        await using (var connection = await scene.DataSource.OpenConnectionAsync(Cancel))
        await using (var transaction = await connection.BeginTransactionAsync(Cancel))
        {
            // The deletion waits for this lock, and the relay ends without it.
            await using var hold = new NpgsqlCommand("select from actors.outbox for update", connection, transaction);
            await hold.ExecuteNonQueryAsync(Cancel);
            await using var running = scene.Run(OutboxScene.Route(before));
            await before.UntilDeliveredAsync(1);
        }

        var after = new RecordingSink();
        await using (scene.Run(OutboxScene.Route(after)))
        {
            await after.UntilDeliveredAsync(1);
        }

        Assert.Equal(before.Delivered[0].Id, after.Delivered[0].Id);
        Assert.Equal(0, await scene.ReadAsync<long>("select count(*) from actors.outbox"));
    }

    [Fact]
    public async Task The_relay_goes_on_by_itself_after_its_connections_were_ended()
    {
        var sink = new RecordingSink();
        var workflow = await scene.WorkflowAsync();
        var own = new NpgsqlConnectionStringBuilder(scene.ConnectionString) { ApplicationName = "relay-under-test" }.ConnectionString;
        await using var source = NpgsqlDataSource.Create(own);
        await using var running = scene.Run(OutboxScene.Route(sink), source: source);
        for (var round = 1; round <= 5; round++)
        {
            await scene.PublishAsync(workflow, "k", round * 100, count: 50);
            running.Relay.Nudge();
            await scene.ExecuteAsync("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'relay-under-test'");
            await sink.UntilDeliveredAsync(round * 50);
        }

        await scene.PublishAsync(workflow, "k", 1_000);
        await sink.UntilDeliveredAsync(sink.Delivered.Count + 1);
        var firsts = sink.Delivered.Select(RecordingSink.Text).Select(int.Parse).Distinct().ToList();
        Assert.Equal(firsts.Order(), firsts);
        Assert.Superset(Enumerable.Range(1, 5).SelectMany(round => Enumerable.Range(round * 100, 50)).ToHashSet(), firsts.ToHashSet());
    }

    [Fact]
    public async Task Only_given_partitions_are_read_and_new_ones_are_noticed()
    {
        var sink = new RecordingSink();
        var (mine, others) = (await scene.WorkflowAsync(), await scene.WorkflowAsync());
        var partition = await scene.ReadAsync<short>($"select partition from actors.workflows where instance = {mine}");
        var given = new short[] { partition };
        await scene.PublishAsync(others, "k", 1);
        await scene.PublishAsync(mine, "k", 2);
        await using var running = scene.Run(OutboxScene.Route(sink), partitions: () => Volatile.Read(ref given));
        await sink.UntilDeliveredAsync(1);
        Assert.Equal(["2"], sink.Attempts.Select(RecordingSink.Text));
        Volatile.Write(ref given, [partition, await scene.ReadAsync<short>($"select partition from actors.workflows where instance = {others}")]);
        await sink.UntilDeliveredAsync(2);
    }
}
