using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Outbox;

/// <summary>The floor rises behind what is delivered, never over what may still come, and spares reads what a held snapshot keeps in the
/// indexes.</summary>
[EachPostgres]
public sealed class OutboxFloorTests(OutboxScene scene) : IClassFixture<OutboxScene>, IAsyncLifetime
{
    private readonly OutboxFloor _floor = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await scene.ClearAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Theory]
    [InlineData(null, 11)]
    [InlineData(4L, 4)]
    [InlineData(30L, 11)]
    public void It_rises_when_all_have_ended_that_may_have_drawn_a_lower_id(long? lowest, long expected)
    {
        _floor.Saw(10);
        Look(lowest, oldest: 5, next: 7);
        Look(lowest, oldest: 6, next: 9);
        Assert.Equal(0, _floor.Value);
        Look(lowest, oldest: 7, next: 9);
        Assert.Equal(expected, _floor.Value);
    }

    [Fact]
    public void What_is_seen_after_the_look_was_sent_does_not_count_for_it()
    {
        _floor.Saw(10);
        var sent = _floor.BeginRead();
        _floor.Saw(20);
        _floor.Observe(sent, new OutboxPending("hook", false, false, null, 5, 7, "1"));
        Look(null, oldest: 7, next: 7);
        Assert.Equal(11, _floor.Value);
    }

    [Fact]
    public void Another_timeline_and_a_failed_statement_begin_anew()
    {
        _floor.Saw(10);
        Look(null, oldest: 7, next: 7);
        var sent = _floor.BeginRead();
        Look(null, oldest: 7, next: 7);
        Assert.Equal(11, _floor.Value);
        Look(null, oldest: 7, next: 7, timeline: "2");
        Assert.Equal(0, _floor.Value);
        _floor.Observe(sent, new OutboxPending("hook", false, false, null, 7, 7, "1"));
        Look(null, oldest: 7, next: 7, timeline: "2");
        Assert.Equal(0, _floor.Value);
        _floor.Saw(5);
        Look(null, oldest: 7, next: 7, timeline: "2");
        Look(null, oldest: 7, next: 7, timeline: "2");
        Assert.Equal(6, _floor.Value);
        _floor.Forget();
        Assert.Equal(0, _floor.Value);
    }

    [Fact]
    public async Task A_message_whose_commit_comes_late_holds_it_down()
    {
        var (table, early, late) = (new OutboxTable(scene.DataSource), await scene.WorkflowAsync(), await scene.WorkflowAsync());
        await using var connection = await scene.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await OutboxScene.PublishAsync(transaction, late, "k", 1);
        await scene.PublishAsync(early, "k", 2);
        var row = Assert.Single(
            (await table.ReadPageAsync("hook", Partition.All, 0, 10, 10, 10, [], 0, Cancel)).Rows);
        _floor.Saw(row.Id);
        await table.DeleteAsync("hook", [row], _ => 0, Cancel);
        for (var looks = 0; looks < 5; looks++)
        {
            await ReadRunAsync(table);
            Assert.Equal(0, _floor.Value);
        }

        await transaction.CommitAsync(Cancel);
        await UntilAsync(table, row.Id - 1);
        Assert.Equal(row.Id - 1, Assert.Single(await table.ReadLanesAsync("hook", Lane(row), 10, Cancel)).Id);
    }

    /// <summary>Transactions get their numbers in one order, ids in another, and end in a third: a snapshot's xmax knows only those that
    /// have ended.</summary>
    [Fact]
    public async Task A_late_message_of_a_younger_transaction_holds_it_down_too()
    {
        var (table, early, late) = (new OutboxTable(scene.DataSource), await scene.WorkflowAsync(), await scene.WorkflowAsync());
        await using var first = await scene.DataSource.OpenConnectionAsync(Cancel);
        await using var older = await first.BeginTransactionAsync(Cancel);
        await new NpgsqlCommand("select pg_current_xact_id()", first).ExecuteScalarAsync(Cancel);
        await using var second = await scene.DataSource.OpenConnectionAsync(Cancel);
        await using var younger = await second.BeginTransactionAsync(Cancel);
        await OutboxScene.PublishAsync(younger, late, "k", 1);
        await OutboxScene.PublishAsync(older, early, "k", 2);
        await older.CommitAsync(Cancel);
        _floor.Saw(await scene.ReadAsync<long>("select max(id) from actors.outbox"));
        for (var looks = 0; looks < 5; looks++)
        {
            await ReadRunAsync(table);
        }

        Assert.Equal(0, _floor.Value);
        await younger.CommitAsync(Cancel);
        await UntilAsync(table, await scene.ReadAsync<long>("select min(id) from actors.outbox"));
    }

    [Fact]
    public async Task A_failed_message_holds_it_down_and_a_dead_letter_comes_back_above_it()
    {
        var (table, workflow) = (new OutboxTable(scene.DataSource), await scene.WorkflowAsync());
        await scene.PublishAsync(workflow, "failed", 1);
        await scene.PublishAsync(workflow, "dead", 2);
        await scene.PublishAsync(workflow, "sent", 3);
        var rows = (await table.ReadPageAsync(
            "hook", Partition.All, 0, 10, 10, 10, [], 0, Cancel)).Rows.OrderBy(r => r.Id).ToList();
        _floor.Saw(rows[2].Id);
        await table.PostponeAsync([new OutboxFailure(rows[0], 1, TimeSpan.FromHours(1), "")], Cancel);
        await table.BuryAsync([new OutboxFailure(rows[1], 1, TimeSpan.Zero, "broken")], Cancel);
        await table.DeleteAsync("hook", [rows[2]], _ => 0, Cancel);
        await UntilAsync(table, rows[0].Id);
        await table.DeleteAsync("hook", [rows[0]], _ => _floor.Value, Cancel);
        await UntilAsync(table, rows[2].Id + 1);
        Assert.Equal(1, await table.RedriveAsync("hook", 10, Cancel));
        Assert.Single(await table.ReadLanesAsync("hook", Lane(rows[1]), 10, Cancel));
    }

    [Fact]
    public async Task Reads_do_not_walk_over_what_a_held_snapshot_keeps()
    {
        var (table, workflow) = (new OutboxTable(scene.DataSource), await scene.WorkflowAsync());
        await using var connection = await scene.DataSource.OpenConnectionAsync(Cancel);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, Cancel);
        await new NpgsqlCommand("select count(*) from actors.outbox", connection).ExecuteScalarAsync(Cancel);
        await scene.PublishAsync(workflow, "k", 1, count: 20_000);
        var lane = await scene.ReadAsync<long>("select min(lane) from actors.outbox");
        var last = await scene.ReadAsync<long>("select max(id) from actors.outbox");
        _floor.Saw(last);
        await scene.ExecuteAsync("delete from actors.outbox");
        await UntilAsync(table, last + 1);
        await scene.PublishAsync(workflow, "k", 2);
        Assert.InRange(await BlocksAsync("read_outbox_lanes", "hook", new[] { lane }, 10, new[] { 0L }), 200, int.MaxValue);
        Assert.InRange(await BlocksAsync("read_outbox_lanes", "hook", new[] { lane }, 10, new[] { _floor.Value }), 1, 30);
        Assert.InRange(await BlocksAsync("read_outbox_pending", new[] { "hook" }, new[] { _floor.Value }), 1, 30);
    }

    [Theory]
    [InlineData(0, 0, 9, 1)] // Nothing is settled.
    [InlineData(0, 7, 9, 8)] // What commits late below nine must be read.
    [InlineData(0, 20, 9, 10)]
    [InlineData(5, 0, 9, 5)]
    public void A_lane_goes_on_behind_what_it_was_sent_and_what_was_settled_before(long begin, long settled, long last, long expected)
    {
        var lane = new Lane(1, false, begin, settled, 0);
        lane.Enqueue(new OutboxRow(last, 1, 1, 0, true, default, "t", "k", default, default, "n", "w", "T"));
        Assert.Equal(expected, lane.End);
    }

    [Fact]
    public void A_lane_of_an_earlier_server_is_read_from_its_beginning()
    {
        _floor.Saw(10);
        Look(null, oldest: 7, next: 7);
        Look(null, oldest: 7, next: 7);
        var known = _floor.Read();
        Assert.Equal((11, 20), (_floor.From(known.Generation, 5), _floor.From(known.Generation, 20)));
        _floor.Forget();
        Assert.Equal(0, _floor.From(known.Generation, 20));
    }

    private void Look(long? lowest, long oldest, long next, string timeline = "1") =>
        _floor.Observe(_floor.BeginRead(), new OutboxPending("hook", false, false, lowest, oldest, next, timeline));

    private Dictionary<long, long> Lane(OutboxRow row) => new() { [row.Lane] = _floor.Value };

    /// <summary>Transactions of other databases on the server count too: it takes as long as they do.</summary>
    private async Task UntilAsync(OutboxTable table, long expected)
    {
        for (var watch = System.Diagnostics.Stopwatch.StartNew(); _floor.Value < expected && watch.Elapsed < TimeSpan.FromMinutes(2);)
        {
            await ReadRunAsync(table); // Any transaction of the server, another test's too, holds it down as long as it lasts.
        }

        Assert.Equal(expected, _floor.Value);
    }

    private async Task ReadRunAsync(OutboxTable table)
    {
        var begun = _floor.BeginRead();
        _floor.Observe(begun, Assert.Single(await table.ReadPendingAsync(["hook"], [_floor.Value], Cancel)));
    }

    /// <summary>Pages that a statement looks at.</summary>
    private async Task<long> BlocksAsync(string statement, params object[] values)
    {
        await using var database = new EngineDatabase(
            scene.ConnectionString, Guid.NewGuid(), 1, TimeSpan.FromMinutes(1), new StatementProbe());
        await using var command = database.Engine.CreateCommand("explain (analyze, buffers, format json) " + SqlText.Get(statement));
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        using var plan = System.Text.Json.JsonDocument.Parse((string)(await command.ExecuteScalarAsync(Cancel))!);
        var top = plan.RootElement[0].GetProperty("Plan");
        return top.GetProperty("Shared Hit Blocks").GetInt64() + top.GetProperty("Shared Read Blocks").GetInt64();
    }
}
