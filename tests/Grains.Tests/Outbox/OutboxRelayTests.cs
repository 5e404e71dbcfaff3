using Actors.Storage;
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
                    running.Relay.Wake();
                }
            }

            await sink.UntilDeliveredAsync(3 * 2 * 300);
        }

        var order = Enumerable.Range(0, 10).SelectMany(round => workflows.SelectMany(workflow =>
            Enumerable.Range(round * 30, 30).Select(value => $"w-{workflow} {value}"))).ToList();
        Assert.All(sink.Delivered.GroupBy(message => message.Key), lane =>
            Assert.Equal(order, lane.Select(message => $"{message.Workflow.Id} {RecordingSink.Text(message)}")));
        Assert.Equal(0, await scene.ReadAsync<long>("select count(*) from actors.outbox"));
    }

    [Fact]
    public async Task A_message_says_whose_it_is()
    {
        var sink = new RecordingSink();
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "customer-7", 42);
        var run = await scene.ReadAsync<Guid>("select run from actors.runs");
        var ordinal = await scene.ReadAsync<int>("select ordinal from actors.outbox");
        await using var running = scene.Run(OutboxScene.Route(sink));
        await sink.UntilDeliveredAsync(1);
        var message = Assert.Single(sink.Delivered);
        Assert.Equal(($"{run}:{ordinal}", new WorkflowId($"w-{workflow}"), run, "Checkout", "orders", "customer-7", "42", 1),
            (message.Id, message.Workflow, message.Run, message.WorkflowType, message.Topic, message.Key, RecordingSink.Text(message),
                message.Attempt));
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
        running.Relay.Wake();
        await sink.UntilDeliveredAsync(1);
        Assert.Equal(["2"], sink.Texts);
        await transaction.CommitAsync(Cancel);
        running.Relay.Wake();
        await sink.UntilDeliveredAsync(2);
        Assert.Equal(["2", "1"], sink.Texts);
    }

    [Fact]
    public async Task A_message_that_commits_late_before_what_its_lane_holds_is_found_when_the_lane_rests()
    {
        var (late, early, marker) = (await scene.WorkflowAsync(), await scene.WorkflowAsync(), await scene.WorkflowAsync());
        TaskCompletionSource reached = new(), open = new();
        var sink = new RecordingSink(async (message, _) =>
        {
            if (RecordingSink.Text(message) == "2")
            {
                reached.TrySetResult();
                await open.Task;
            }
        });
        var options = OutboxScene.Quick();
        options.PollInterval = TimeSpan.FromHours(1);
        await using var connection = await scene.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await OutboxScene.PublishAsync(transaction, late, "k", 1);
        await scene.PublishAsync(early, "k", 2);
        await using var running = scene.Run(OutboxScene.Route(sink), options);
        await reached.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancel);
        await transaction.CommitAsync(Cancel);
        await scene.PublishAsync(marker, "marker", 9);
        running.Relay.Wake();
        await sink.UntilDeliveredAsync(1);   // a pass has gone by the lane, which is held
        Assert.Equal(["9"], sink.Texts);
        open.SetResult();
        await sink.UntilDeliveredAsync(3);
        Assert.Equal(["9", "2", "1"], sink.Texts);
    }

    [Fact]
    public async Task Lanes_of_two_destinations_with_the_same_number_do_not_meet()
    {
        // Without a key a lane's number is instance # hash of the destination: a second instance that makes the same number for another
        // destination.
        var workflow = await scene.WorkflowAsync();
        var twin = await scene.ReadAsync<long>($"select {workflow} # hashtextextended('hook', 0) # hashtextextended('other', 0)");
        await scene.ExecuteAsync($"""
            insert into actors.runs (instance, workflow, created_at, run, epoch, position, status, namespace, id, code)
            values ({twin}, {twin}, actors.now(), gen_random_uuid(), 1, 1, 0, 'default', 'twin', (select code from actors.register_type('Checkout')))
            """);
        await scene.PublishAsync(workflow, "", 0, count: 2);
        await scene.PublishAsync(twin, "", 10, "other", count: 2);
        await scene.PublishAsync(workflow, "", 2);
        Assert.Equal(1, await scene.ReadAsync<long>("select count(distinct lane) from actors.outbox"));
        var (healed, hook, other) = (false, (RecordingSink?)null, new RecordingSink());
        hook = new RecordingSink((_, _) => Volatile.Read(ref healed) ? Task.CompletedTask : throw new InvalidOperationException("not yet"));
        await using var running = scene.Run(new OutboxRoutes().Add("hook", hook, "*").Add("other", other, "*"));
        await other.UntilDeliveredAsync(2);
        Volatile.Write(ref healed, true);
        await hook.UntilDeliveredAsync(3);
        Assert.Equal(["10", "11"], other.Texts);
        Assert.Equal(["0", "1", "2"], hook.Texts);
    }

    [Fact]
    public async Task A_row_that_commits_behind_the_page_end_keeps_its_successor_back_until_the_next_pass()
    {
        // Pages are read by hand: the first, then the late commit and its successor, then the rest of the same pass.
        var (late, other) = (await scene.WorkflowAsync(), await scene.WorkflowAsync());
        var table = new Actors.Storage.OutboxTable(scene.DataSource);
        short[] partitions = Partition.All;
        await using var connection = await scene.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await OutboxScene.PublishAsync(transaction, late, "k", 1);
        await scene.PublishAsync(other, "other", 9);
        var (first, end) = await table.ReadPageAsync("hook", partitions, 0, scan: 1, lanes: 10, rowsPerLane: 10, [], 0, Cancel);
        Assert.Equal("other", Assert.Single(first).Key);
        await transaction.CommitAsync(Cancel);
        await scene.PublishAsync(late, "k", 2);
        var (second, _) = await table.ReadPageAsync("hook", partitions, end!.Value, 10, 10, 10, [], 0, Cancel);
        Assert.Empty(second);
        var (next, _) = await table.ReadPageAsync("hook", partitions, 0, 10, 10, 10, [first[0].Lane], 0, Cancel);
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
            running.Relay.Wake();
            await transaction.RollbackAsync(Cancel);
        }

        await scene.PublishAsync(workflow, "k", 2);
        running.Relay.Wake();
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
            running.Relay.Wake();
            await scene.ExecuteAsync(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = "
                + "'relay-under-test'");
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
        await scene.PublishAsync(others, "k", 1);
        await scene.PublishAsync(mine, "", 2);
        var partition = await scene.ReadAsync<short>("select actors.partition_of(lane) from actors.outbox where key = ''");
        var further = Actors.Storage.Partition.Of(await scene.ReadAsync<long>("select lane from actors.outbox where key = 'k'"));
        Assert.NotEqual(partition, further);
        var given = new short[] { partition };
        await using var running = scene.Run(OutboxScene.Route(sink), partitions: () => Volatile.Read(ref given));
        await sink.UntilDeliveredAsync(1);
        Assert.Equal(["2"], sink.Attempts.Select(RecordingSink.Text));
        Volatile.Write(ref given, [partition, further]);
        await sink.UntilDeliveredAsync(2);
    }
}
