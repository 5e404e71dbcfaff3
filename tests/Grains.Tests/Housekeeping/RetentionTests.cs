using Actors.Grains.Tests.Execution;
using Actors.Housekeeping;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Partitions;

/// <summary>Ended runs go when they are old enough, whole, in small batches; whatever somebody still needs stays.</summary>
[EachPostgres]
public sealed class RetentionTests
{
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_ended_long_ago_goes_with_its_history_and_its_id_starts_anew()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, actors => actors.AddWorkflow<Bulk>());
        Assert.Equal(6, await engine.RunAsync<int, int>("old", "Bulk", 3));
        Assert.Equal(8, await engine.RunAsync<int, int>("young", "Bulk", 4));
        await ExecuteAsync(database, "update actors.runs set ended_at = ended_at - interval '25 hours' where id = 'old'");
        await engine.RestAsync("old");

        Assert.Equal(1, await Over(engine.Engine.Context.Database).PassAsync(Cancel));

        Assert.False((await engine.StatusAsync("old")).Found);
        await Assert.ThrowsAsync<WorkflowNotFoundException>(() => engine.ResultAsync<int>("old"));
        Assert.Equal(0L, await ScalarAsync(
            database, "select count(*) from actors.journal j where not exists (select from actors.runs w where w.instance = "
            + "j.instance)"));
        Assert.Equal(8, await engine.ResultAsync<int>("young"));
        Assert.Equal(10, await engine.RunAsync<int, int>("old", "Bulk", 5));
    }

    [Fact]
    public async Task Whoever_asks_for_a_run_while_it_is_deleted_is_told_that_it_is_not_there()
    {
        await using var database = await TestDatabase.CreateAsync();
        var probe = new StatementProbe();
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, actors => actors.AddWorkflow<Bulk>(), probe: probe);
        await engine.RunAsync<int, int>("completed", "Bulk", 1);
        await engine.RestAsync("completed"); // Else its own caller, who may ask when it has ended, would meet the deletion.
        probe.Before = name => name == "read last row" ? ExecuteAsync(database, "delete from actors.journal; delete from actors.runs")
            : Task.CompletedTask;
        await Assert.ThrowsAsync<WorkflowNotFoundException>(() => engine.ResultAsync<int>("completed"));
        await MakeAsync(database, 1, 1);
        await ExecuteAsync(database, "update actors.runs set status = 2");
        Assert.False((await engine.StatusAsync("1")).Found);
    }

    [Theory]
    [InlineData("status = 0, ended_at = null", "a run under way")]
    [InlineData("status = 3, ended_at = null", "a run that is set aside")]
    [InlineData("ended_at = now() - interval '23 hours'", "a run that ended lately")]
    public async Task What_has_not_ended_or_not_long_ago_stays(string state, string what)
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var store = Connect(database);
        await MakeAsync(database, 1, 3);
        await ExecuteAsync(database, $"update actors.runs set {state} where instance = 2");
        Assert.Equal(2, await Over(store).PassAsync(Cancel));
        Assert.True(await ScalarAsync(database, "select min(instance) from actors.runs") == 2, what);
        Assert.Equal(3L, await ScalarAsync(database, "select count(*) from actors.journal"));
    }

    [Theory]
    [InlineData("outbox (instance, lane, at, ordinal, destination, topic, key) values (2, 1, now() - interval '25 hours', 1, 'hook', "
        + "'topic', '')")]
    [InlineData("dead_letters (id, instance, at, died_at, ordinal, attempts, destination, topic, key, reason) values (1, 2, now() - "
        + "interval '25 hours', now(), 1, 9, 'hook', 'topic', '', 'down')")]
    public async Task A_run_stays_while_a_message_of_it_is_undelivered(string message)
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var store = Connect(database);
        await MakeAsync(database, 1, 3);
        await ExecuteAsync(database, $"insert into actors.{message}");
        Assert.Equal(2, await Over(store).PassAsync(Cancel));
        Assert.Equal(2L, await ScalarAsync(database, "select min(instance) from actors.runs"));

        await ExecuteAsync(database, "delete from actors.outbox; delete from actors.dead_letters");
        Assert.Equal(1, await Over(store).PassAsync(Cancel));
        Assert.Equal(0L, await ScalarAsync(
            database, "select (select count(*) from actors.runs) + (select count(*) from actors.journal)"));
    }

    /// <summary>The end of a pass is one moment, whatever time its batches take; and a message is younger than the end of its run, by some
    /// statements.</summary>
    [Theory]
    [InlineData("- interval '1 day' + interval '1 second'")]
    [InlineData("- interval '1 day' - interval '1 second'")]
    public async Task A_run_that_comes_of_age_during_a_pass_keeps_its_messages(string ended)
    {
        await using var database = await TestDatabase.CreateAsync();
        var probe = new StatementProbe { After = name => name == "find pending" ? Task.Delay(2000, Cancel) : Task.CompletedTask };
        await using var store = Connect(database, probe);
        await MakeAsync(database, 1, 2);
        await ExecuteAsync(database, $"""
            update actors.runs set ended_at = now() {ended} where instance = 2;
            insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key) select 2, 1, ended_at + interval '1500 ms', 1, 'hook', 'topic', '' from actors.runs where instance = 2
            """);
        Assert.Equal(1, await Over(store).PassAsync(Cancel));
        Assert.Equal(2L, await ScalarAsync(database, "select min(instance) from actors.runs"));
    }

    [Fact]
    public async Task Ids_are_remembered_with_their_run_and_for_their_time_beyond_it_while_the_workflow_has_a_run()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var store = Connect(database);
        await MakeAsync(database, 1, 5);
        // 1 and 2 are runs of one workflow, whose run 9 goes on; 3 and 4 of one that is all gone; 5 waits for a message of its own.
        await ExecuteAsync(database, "update actors.runs set workflow = 1, id = 'chain', latest = false where instance in (1, 2)");
        await ExecuteAsync(database, """
            insert into actors.runs (instance, workflow, created_at, run, epoch, position, status, namespace, id, code)
            values (9, 1, now(), gen_random_uuid(), 1, 0, 0, 'default', 'chain', (select code from actors.register_type('T')))
            """);
        await ExecuteAsync(database,
            "update actors.runs set workflow = 3, id = 'gone', latest = instance = 4 where instance in (3, 4)");
        await ExecuteAsync(database,
            "insert into actors.dead_letters select 1, 5, now() - interval '3 days', now(), 1, 1, 'hook', 'topic', '', 'down'");
        await ExecuteAsync(database, """
            insert into actors.message_ids (workflow, instance, at, position, kind, message_id)
            select case when run in (1, 2, 9) then 1 when run in (3, 4) then 3 else 5 end, run, now() - age, 1, 0, run || ' ' || age
            from unnest(array[1, 2, 3, 4, 5, 9]) run, unnest(array['2 days', '12 days']::interval[]) age
            """);
        await Over(store, keepIds: TimeSpan.FromDays(7)).PassAsync(Cancel);
        Assert.Equal("1 2 days,2 2 days,5 12 days,5 2 days,9 12 days,9 2 days",
            await ReadAsync(database, "select string_agg(message_id, ',' order by message_id) from actors.message_ids"));
        await ExecuteAsync(database, "update actors.runs set status = 1, ended_at = now() - interval '2 days' where instance = 9");
        await Over(store, keepIds: TimeSpan.FromDays(7)).PassAsync(Cancel);
        Assert.Equal("5 12 days,5 2 days",
            await ReadAsync(database, "select string_agg(message_id, ',' order by message_id) from actors.message_ids"));
    }

    [Fact]
    public async Task Mail_that_commits_after_its_run_is_gone_is_marked_undelivered()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, actors => actors.AddWorkflow<Bulk>());
        await ExecuteAsync(database,
            "insert into actors.inbox (workflow, at, code, message_id, name) values (77, now(), (select code from actors.codes limit 1), "
            + "'late', 'mail')");
        using var stop = new CancellationTokenSource();
        var sweeping = new Sweeper(
            engine.Engine.Context.Database, new PartitionSet(), engine.Engine.Context.Codes,
            new SweepSettings(TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1), TimeSpan.FromSeconds(5)),
            engine.Engine.WakeAsync, () => 0, () => [], engine.Engine.Context.Clock.Observe, () => { }, NullLogger<Sweeper>.Instance).RunAsync(
                stop.Token);
        for (var watch = System.Diagnostics.Stopwatch.StartNew(); await ScalarAsync(
            database, "select count(*) from actors.inbox where state = 1") == 0;)
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20));
            await Task.Delay(10, Cancel);
        }

        await stop.CancelAsync();
        await sweeping;
    }

    [Fact]
    public async Task A_batch_is_bounded_in_runs_and_in_rows_and_a_long_run_goes_alone()
    {
        await using var database = await TestDatabase.CreateAsync();
        var left = new List<long>();
        var probe = new StatementProbe { After = async name =>
            left.AddRange(name == "delete ended" ? [await ScalarAsync(database, "select count(*) from actors.runs")] : []) };
        await using var store = Connect(database, probe);
        await MakeAsync(database, 1, 20);
        await ExecuteAsync(database,
            "update actors.runs set position = 999 where instance = 10; insert into actors.journal (instance, at, position, seq, "
            + "kind, name) select 10, now(), p, p, 1, 'step' from generate_series(3, 999) p");
        Assert.Equal(20, await Over(store, runs: 4, rows: 100).PassAsync(Cancel));
        Assert.Equal(0L, await ScalarAsync(
            database, "select (select count(*) from actors.runs) + (select count(*) from actors.journal)"));
        Assert.Equal([16, 12, 10, 6, 2, 0, 0], left); // The tenth, of a thousand rows, ends its batch.
    }

    [Fact]
    public async Task Two_silos_at_once_delete_each_run_once_and_never_wait_for_each_other()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var one = Connect(database);
        await using var two = Connect(database);
        await MakeAsync(database, 1, 1000);
        var deleted = await Task.WhenAll(Over(one, runs: 10).PassAsync(Cancel), Over(two, runs: 10).PassAsync(Cancel));
        Assert.Equal(1000, deleted.Sum() + (await Over(one).PassAsync(Cancel)));
        Assert.Equal(0L, await ScalarAsync(database, "select count(*) from actors.runs"));
    }

    private static async Task<string> ReadAsync(TestDatabase database, string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        return (string)(await command.ExecuteScalarAsync(Cancel))!;
    }

    private static EngineDatabase Connect(TestDatabase database, StatementProbe? probe = null) =>
        new(database.ConnectionString, Guid.NewGuid(), 2, TimeSpan.FromMinutes(1), probe ?? new StatementProbe());

    private static Retention Over(EngineDatabase database, int runs = 500, int rows = 10_000, TimeSpan? keepIds = null)
    {
        var partitions = new PartitionSet();
        partitions.Hold(0, partitions);
        return new Retention(
            database, partitions, Day, keepIds ?? Day, NullLogger<Retention>.Instance) { BatchRuns = runs, BatchRows = rows };
    }

    /// <summary>Runs that ended two days ago, with three rows each.</summary>
    private static Task MakeAsync(TestDatabase database, int first, int last) => ExecuteAsync(database, $"""
        insert into actors.runs (instance, workflow, created_at, ended_at, run, epoch, position, status, namespace, id, code)
        select n, n, now(), now() - interval '2 days' + n * interval '1 second', gen_random_uuid(), 1, 2, 1, 'default', n, (select code from actors.register_type('T')) from generate_series({first}, {last}) n;
        insert into actors.journal (instance, at, position, seq, kind, name) select n, now(), p, p, 1, 'step' from generate_series({first}, {last}) n, generate_series(0, 2) p;
        """);

    private static async Task ExecuteAsync(TestDatabase database, string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Cancel);
    }

    private static async Task<long> ScalarAsync(TestDatabase database, string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync(Cancel))!;
    }
}
