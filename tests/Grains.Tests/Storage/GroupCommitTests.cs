using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>Entries of many runs in one commit: none of them fails or delays the others.</summary>
[EachPostgres]
public sealed class GroupCommitTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private Store _store = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _store = new Store(database.ConnectionString, slots: 1);
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => _store.DisposeAsync();

    [Fact]
    public async Task What_is_ready_together_commits_in_one_round_trip_and_a_lonely_entry_at_once()
    {
        var runs = await StartAsync("together", 50);
        var before = (_store.Journal.GroupsCommitted, _store.Probe.RoundTrips);
        await Task.WhenAll(await _store.TogetherAsync(runs.Select(run => Store.Entry(run))));
        Assert.Equal((before.GroupsCommitted + 3, before.RoundTrips + 3), (_store.Journal.GroupsCommitted, _store.Probe.RoundTrips));
        await _store.CommitAsync(Store.Entry(runs[0], position: 1));
        Assert.Equal((before.GroupsCommitted + 4, before.RoundTrips + 4), (_store.Journal.GroupsCommitted, _store.Probe.RoundTrips));
    }

    [Fact]
    public async Task Groups_that_follow_each_other_share_one_connection()
    {
        await using var store = new Store(database.ConnectionString);
        var run = await store.StartAsync("one connection");
        for (var position = 0; position < 20; position++)
        {
            await store.CommitAsync(Store.Entry(run, position: position));
        }

        Assert.Equal(20, (await store.Claims.ReadRunAsync(run.Id))!.Position);
        // The one that blocks, the one for when its thread was not free yet, and one of the engine's others.
        Assert.InRange(await ConnectionsAsync(store), 2, 3);
    }

    [Fact]
    public async Task A_least_number_of_connections_that_is_more_than_a_pool_holds_is_the_pool_s_size()
    {
        await using var store = new Store(database.ConnectionString + ";Minimum Pool Size=20");
        var run = await store.StartAsync("many connections");
        Assert.Equal(CommitOutcome.Committed, (await store.CommitAsync(Store.Entry(run))).Outcome);
    }

    [Theory]
    [InlineData("fenced", "Fenced")]
    [InlineData("early", "Early")]
    [InlineData("mail", "Letters")]
    [InlineData("bad json", "Rejected")]
    [InlineData("unique violation", "Rejected")]
    [InlineData("trigger", "Rejected")]
    public async Task One_offender_neither_fails_nor_delays_the_others(string offence, string outcome)
    {
        var runs = await StartAsync(offence, 9);
        var entries = runs.Select(run => Store.Entry(run)).ToList();
        entries[4] = await OffendAsync(entries[4], offence, runs[4]);
        var replies = await Task.WhenAll(await _store.TogetherAsync(entries)).WaitAsync(TimeSpan.FromSeconds(20), Cancel);

        Assert.All(replies.Select((reply, i) => (reply, i)), r =>
            Assert.Equal(r.i == 4 ? outcome : "Committed", r.reply.Outcome.ToString()));
        Assert.Equal(outcome is "Rejected", replies[4].Error is not null);
        if (outcome is "Early" or "Letters")
        {
            Assert.InRange(replies[4].At, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddMinutes(5));
        }

        foreach (var (run, i) in runs.Select((run, i) => (run, i)))
        {
            Assert.Equal(i == 4 ? 0 : 1, (await _store.Claims.ReadRunAsync(run.Id))!.Position);
        }
    }

    [Fact]
    public async Task The_end_of_the_writer_waits_for_those_that_wait_alone()
    {
        var run = Assert.Single(await StartAsync("end", 1));
        await using var blocker = new NpgsqlConnection(database.ConnectionString + ";Pooling=false");
        await blocker.OpenAsync(Cancel);
        await using (var take = new NpgsqlCommand(
            $"begin; select from actors.runs where instance = {run.Instance} for update", blocker))
        {
            await take.ExecuteNonQueryAsync(Cancel);
        }

        var reply = _store.CommitAsync(Store.Entry(run));
        await Store.UntilBlockedAsync(database.DataSource, $"actors patient {_store.Silo}");
        var end = _store.Journal.DisposeAsync().AsTask();
        Assert.False(end.IsCompleted);
        await blocker.DisposeAsync();
        await end;
        Assert.Equal(1, (await _store.Claims.ReadRunAsync(run.Id))!.Position);
        Assert.Equal(CommitOutcome.Committed, (await reply.WaitAsync(TimeSpan.FromSeconds(20), Cancel)).Outcome);
        Assert.Equal(CommitOutcome.Fenced, (await _store.CommitAsync(Store.Entry(run, position: 1))).Outcome); // Too late.
    }

    [Fact]
    public async Task Starts_of_one_id_in_one_group_make_one_run_and_harm_nobody()
    {
        var starts = await Task.WhenAll(Enumerable.Range(0, 30).Select(i => _store.NewStartAsync($"same {i % 3}")));
        var held = _store.HoldNext("commit");
        var blocker = _store.CommitAsync(Store.Entry(starts[0]));
        await held.UntilReachedAsync();
        var replies = starts.Select(_store.Journal.StartAsync).ToList();
        held.Release();
        Assert.Equal(CommitOutcome.Fenced, (await blocker).Outcome);
        Assert.Equal(3, (await Task.WhenAll(replies)).Count(reply => reply.Outcome == CommitOutcome.Committed));
        Assert.Equal(3L, await Store.ScalarAsync<long>(
            database.DataSource, "select count(*) from actors.runs where id like 'same %'"));
    }

    [Fact]
    public async Task Writers_that_start_the_same_ids_in_other_orders_do_not_meet_in_a_deadlock()
    {
        await using var other = new Store(database.ConnectionString, slots: 1);
        for (var round = 0; round < 5; round++)
        {
            var ids = Enumerable.Range(0, 100).Select(i => $"crossed {round} {i}").ToList();
            var mine = await Task.WhenAll(ids.Select(id => _store.NewStartAsync(id)));
            var theirs = await Task.WhenAll(Enumerable.Reverse(ids).Select(id => other.NewStartAsync(id)));
            var replies = await Task.WhenAll(mine.Select(_store.Journal.StartAsync).Concat(theirs.Select(other.Journal.StartAsync)));
            Assert.Equal(100, replies.Count(reply => reply.Outcome == CommitOutcome.Committed));
        }

        Assert.Equal(0L, await Store.ScalarAsync<long>(
            database.DataSource, "select deadlocks from pg_stat_database where datname = current_database()"));
    }

    [Fact]
    public async Task Of_two_entries_of_one_run_in_a_group_the_later_claim_s_commits_and_the_others_do_too()
    {
        var runs = await StartAsync("twice", 2);
        await Store.ExecuteAsync(database.DataSource, $"update actors.runs set epoch = 2 where instance = {runs[0].Instance}");
        var (former, later) = (Store.Entry(runs[0]), Store.Entry(runs[0]));
        later.Epoch = 2;
        var replies = await _store.TogetherAsync([former, later, Store.Entry(runs[1])]);
        var outcomes = await Task.WhenAll(replies).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.Equal([CommitOutcome.Fenced, CommitOutcome.Committed, CommitOutcome.Committed], outcomes.Select(reply => reply.Outcome));
    }

    [Fact]
    public void Statements_without_rows_are_left_out_and_the_rest_stand_in_their_order()
    {
        using var batch = new NpgsqlBatch();
        var entry = Store.Entry(new Start(new WorkflowId("x"), "T", 1, 1, Guid.NewGuid(), default), rows: 0);
        new CommitBatch([], [entry], Guid.NewGuid()).Write(batch);
        Assert.Equal([SqlText.ForOne("advance_runs")], Store.Texts(batch));

        batch.BatchCommands.Clear();
        entry.Rows.Add(new JournalRow(JournalKind.TimerSet, 1, "sleep", default) { DueAt = DateTimeOffset.UtcNow });
        entry.Outbox.Add(new OutgoingRow(1, "hook", "topic", "key", default));
        entry.ClearedTimers = [2];
        entry.ClearedLetters = ["m"];
        entry.WakesOthers = true;
        new CommitBatch([], [entry], Guid.NewGuid()).Write(batch);
        Assert.Equal(
            new[] { "clear_inbox", "advance_runs", "append_journal", "append_outbox", "set_timers", "clear_timers",
                "ask_to_wake" }.Select(SqlText.ForOne),
            Store.Texts(batch));

        entry.Rows.Add(new JournalRow(JournalKind.TimerSet, 2, "sleep", default));
        batch.BatchCommands.Clear();
        new CommitBatch([], [entry], Guid.NewGuid()).Write(batch);
        Assert.Contains(SqlText.Get("append_journal"), Store.Texts(batch)); // Of one entry, but two rows.
    }

    private async Task<Start[]> StartAsync(string id, int count) =>
        [.. (await Task.WhenAll(Enumerable.Range(0, count).Select(i => _store.StartAsync($"{id} {i}")))).OrderBy(run => run.Instance)];

    private async Task<int> ConnectionsAsync(Store store) => (int)await Store.ScalarAsync<long>(
        database.DataSource, $"select count(*) from pg_stat_activity where application_name = 'actors engine {store.Silo}'");

    private async Task<Entry> OffendAsync(Entry entry, string offence, Start run)
    {
        switch (offence)
        {
            case "fenced":
                entry.Epoch = 7;
                break;
            case "early":
                entry.NotBefore = DateTimeOffset.UtcNow.AddHours(1);
                break;
            case "mail":
                entry.Status = WorkflowStatus.Completed;
                await Store.ExecuteAsync(database.DataSource, $"select actors.send('default', '{run.Id.Id}', 'm', 'mail', '1')");
                break;
            case "bad json":
                entry.Rows[0] = entry.Rows[0] with { Payload = Store.Json("{no json") };
                break;
            case "unique violation":
                await Store.ExecuteAsync(
                    database.DataSource,
                    $"insert into actors.journal (instance, at, position, seq, kind, name) values ({run.Instance}, now(), 1, 1, 1, 'not "
                        + $"mine')");
                break;
            case "trigger":
                await Store.ExecuteAsync(database.DataSource, $"""
                    create function refuse() returns trigger language plpgsql as 'begin raise exception ''not this one''; end';
                    create trigger refuse before insert on actors.journal for each row when (new.instance = {run.Instance}) execute function refuse();
                    """);
                break;
        }

        return entry;
    }
}
