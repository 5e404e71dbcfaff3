using System.Text.RegularExpressions;
using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>
/// Every statement on a path that is walked often probes its tables by key, with the engine's settings, whatever the tables held and were
/// known to hold when its plan was made: nothing, five runs, a hundred thousand.
/// </summary>
[EachPostgres]
public sealed partial class PlanTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    // By which indexes each reaches its rows. The same rows by another one is a plan that changed, to be looked at.
    private static readonly (string Name, string Indexes)[] Written =
    [
        ("start_runs", ""),
        ("append_starts", "runs_pkey"),
        ("append_delays", "runs_pkey"),
        ("retire_run", "runs_pkey"),
        ("clear_inbox", "inbox_pkey"),
        ("refuse_inbox", "inbox_pkey"),
        ("advance_runs", "inbox_pkey runs_pkey"),
        ("append_journal", ""),
        ("append_outbox", ""),
        ("set_timers", "runs_pkey"),
        ("clear_timers", "timers_pkey"),
        ("clear_waits", "waits_pkey"),
        ("keep_waits", ""),
        ("park", "inbox_pkey runs_pkey timers_pkey"),
        ("ask_to_wake", "runs_pkey"),
    ];

    private static readonly (string Name, string Indexes)[] Others =
    [
        ("claim_runs", "runs_identity runs_pkey timers_pkey waits_pkey"),
        ("enter_run", "runs_pkey"),
        ("read_runs", "runs_identity timers_pkey"),
        ("read_journals", "journal_pkey runs_identity"),
        ("read_inboxes", "inbox_pkey runs_identity"),
        ("read_letters", "inbox_pkey"),
        ("read_last_row", "journal_pkey"),
        ("resolve_entries", "inbox_pkey journal_pkey runs_pkey"),
        ("resume_run", "runs_identity runs_pkey"),
        ("bring_back", "runs_pkey"),
        ("unpark", "inbox_pkey runs_identity timers_pkey"),
        ("delete_ended", "inbox_pkey journal_pkey runs_ended runs_identity runs_pkey"),
        ("put_late_letters_aside", "inbox_unread runs_further runs_pkey"),
        ("find_due_timers", "runs_pkey timers_due"),
        ("find_letters", "inbox_unread runs_further runs_pkey"),
        ("find_left_alone", "runs_pkey waits_not_mine"),
        ("read_waits", "waits_pkey"),
        ("read_failures", "journal_pkey"),
        ("find_runs_of_the_dead", "runs_owner"),
        ("find_runs_of_the_forgotten", "runs_owner"),
        ("find_new_runs", "runs_fresh"),
        ("find_new_runs_elsewhere", "runs_fresh"),
        ("find_expired_leases", ""),
        ("renew_lease", ""),
        ("forget_silos", "runs_owner runs_pkey"),
        ("remove_silo", "runs_owner"),
    ];

    private static readonly (string Name, string Sql, string Indexes)[] Texts =
    [
        .. Written.Concat(Others).Select(statement => (statement.Name, SqlText.Get(statement.Name), statement.Indexes)),
        .. Written.Where(statement => SqlText.ForOne(statement.Name) != SqlText.Get(statement.Name))
            .Select(statement => ($"{statement.Name}_for_one", SqlText.ForOne(statement.Name), statement.Indexes)),
    ];

    private const string KeysOfAnEnd = "inbox_pkey runs_pkey";

    // Read in the order of the index, from its beginning: partial indexes that hold only what is to be done.
    private static readonly string[] Queues = ["inbox_unread"];

    [Fact]
    public async Task No_statement_of_the_engine_costs_what_its_tables_hold()
    {
        await using var store = new Store(database.ConnectionString);
        await using var kept = await store.Database.Engine.OpenConnectionAsync();
        await PrepareAsync(kept);
        await AssertPlansAsync(kept, "empty, never analyzed");
        foreach (var (runs, what) in new[] { (5, "five runs"), (40, "forty runs"), (100_000, "a hundred thousand runs") })
        {
            await GrowAsync(database.DataSource, runs);
            await AssertPlansAsync(kept, $"{what}, prepared while empty, not analyzed");
            await using (var other = new Store(database.ConnectionString))
            {
                await using var fresh = await other.Database.Engine.OpenConnectionAsync();
                await PrepareAsync(fresh);
                await AssertPlansAsync(fresh, $"{what}, not analyzed");
            }

            await Store.ExecuteAsync(
                database.DataSource, "analyze actors.runs, actors.journal, actors.timers, actors.inbox, actors.outbox, actors.silos");
            await AssertPlansAsync(kept, what);
        }
    }

    [Fact]
    public async Task A_transaction_of_users_code_takes_the_same_plans_for_its_entry()
    {
        await using var store = new Store(database.ConnectionString);
        await using var connection = await store.Database.Users.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand(SqlText.Get("before_entry"), connection))
        {
            await hold.ExecuteNonQueryAsync();
        }

        await PrepareAsync(connection);
        await AssertPlansAsync(connection, "in a user's transaction");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_function_for_an_ordinary_transition_probes_by_key(bool plannedWhileEmpty)
    {
        await using var own = await TestDatabase.CreateAsync();
        await using var store = new Store(own.ConnectionString);
        await using var connection = await store.Database.Engine.OpenConnectionAsync();
        if (plannedWhileEmpty)
        {
            await Store.ExecuteAsync(
                own.DataSource, "insert into actors.runs (instance, workflow, created_at, run, epoch, position, status, namespace, "
                + "id, code) values (1, 1, now(), gen_random_uuid(), 1, 0, 0, 'default', 'one', (select code from actors.register_type('T')))");
            Assert.Equal(KeysOfAnEnd, await ScansAsync(connection, instance: 1, position: 0));
        }

        await GrowAsync(own.DataSource, 40);
        await Store.ExecuteAsync(own.DataSource, "analyze actors.runs, actors.journal, actors.inbox, actors.outbox");
        Assert.Equal(KeysOfAnEnd, await ScansAsync(connection, instance: 402, position: 2));
    }

    /// <summary>Statistics of a moment in which nobody owned a run make an index on the owner look as good as the key.</summary>
    [Fact]
    public async Task The_function_for_an_ordinary_transition_reads_its_run_alone_whatever_its_silo_owns()
    {
        await using var own = await TestDatabase.CreateAsync();
        await using var store = new Store(own.ConnectionString);
        await using var connection = await store.Database.Engine.OpenConnectionAsync();
        var owner = Guid.NewGuid();
        await GrowAsync(own.DataSource, 2_000);
        await Store.ExecuteAsync(own.DataSource, "update actors.runs set owner = null, status = 0");
        await Store.ExecuteAsync(own.DataSource, "vacuum analyze actors.runs");
        await Store.ExecuteAsync(own.DataSource, $"update actors.runs set owner = '{owner}'");

        await using var transaction = await connection.BeginTransactionAsync();
        await using var commit = new NpgsqlCommand(
            $"select actors.commit_transition_1(20001, '{owner}', 1, 1, 2, 0::smallint, false, false, null, 3, 1, 1::smallint, 0, 'step', null, '1', "
                + $"null, null, null, null, null, null, null)", connection);
        await commit.ExecuteNonQueryAsync();
        await using var read = new NpgsqlCommand(
            "select idx_tup_fetch from pg_stat_xact_user_tables where relname = 'runs'", connection);
        Assert.InRange((long)(await read.ExecuteScalarAsync())!, 1, 3);
    }

    /// <summary>Indexes, and tables read whole, of one end of a run with a message, which touches all of the function's tables.</summary>
    private static async Task<string> ScansAsync(NpgsqlConnection connection, long instance, int position)
    {
        await using var transaction = await connection.BeginTransactionAsync();
        await using var own = new NpgsqlCommand(
            $"update actors.runs set owner = gen_random_uuid(), status = 0 where instance = {instance} returning owner", connection);
        var owner = (Guid)(await own.ExecuteScalarAsync())!;
        await using var commit = new NpgsqlCommand(
            $"select actors.commit_transition_1({instance}, '{owner}', 1, 1, {position}, 1::smallint, true, true, now(), 0, 1, 10::smallint, 1, 'T', "
                + $"null, '1', null, 1, 'hook', 'topic', 'key', '1', null)", connection);
        await commit.ExecuteNonQueryAsync();
        await using var scans = new NpgsqlCommand(
            """
            select string_agg(c.relname, ' ' order by c.relname collate "C") from pg_class c
            where c.relnamespace = 'actors'::regnamespace and c.relkind in ('r', 'i') and pg_stat_get_xact_numscans(c.oid) > 0
            """,
            connection);
        return (string)(await scans.ExecuteScalarAsync())!;
    }

    private static async Task PrepareAsync(NpgsqlConnection connection)
    {
        foreach (var (name, sql, _) in Texts)
        {
            await using var prepare = new NpgsqlCommand($"prepare plan_{name} as {sql}", connection);
            await prepare.ExecuteNonQueryAsync();
        }
    }

    private static async Task AssertPlansAsync(NpgsqlConnection connection, string when)
    {
        var faults = new List<string>();
        foreach (var (name, sql, indexes) in Texts)
        {
            var count = Parameters().Matches(sql).Select(match => match.Value).Distinct().Count();
            var nulls = count == 0 ? "" : $"({string.Join(", ", Enumerable.Repeat("null", count))})";
            await using var explain = new NpgsqlCommand($"explain (costs off) execute plan_{name}{nulls}", connection);
            var lines = new List<string>();
            await using (var reader = await explain.ExecuteReaderAsync())
            {
                while (await reader.ReadAsync())
                {
                    lines.Add(reader.GetString(0));
                }
            }

            var scans = lines.Select(line => IndexScan().Match(line)).Where(scan => scan.Success).Select(
                scan => scan.Groups["index"].Value);
            var used = string.Join(' ', scans.Distinct().Order(StringComparer.Ordinal));
            if (used != indexes)
            {
                faults.Add($"{when}: {name} uses {used}, not {indexes}\n{string.Join('\n', lines)}");
            }

            faults.AddRange(Faults(lines).Select(fault => $"{when}: {name}: {fault}\n{string.Join('\n', lines)}"));
        }

        Assert.True(faults.Count == 0, string.Join("\n\n", faults));
    }

    private static IEnumerable<string> Faults(List<string> plan)
    {
        for (var i = 0; i < plan.Count; i++)
        {
            if (Whole().Match(plan[i]) is { Success: true } whole)
            {
                yield return whole.Value.Trim();
            }
            else if (IndexScan().Match(plan[i]) is { Success: true } scan && !Queues.Contains(scan.Groups["index"].Value)
                && !(i + 1 < plan.Count && plan[i + 1].Contains("Index Cond", StringComparison.Ordinal)))
            {
                yield return $"the whole of {scan.Groups["index"].Value} is read";
            }
        }
    }

    private static Task GrowAsync(NpgsqlDataSource source, int runs) => Store.ExecuteAsync(source, $"""
        insert into actors.silos (id, started_at, alive_until, name, address)
        select gen_random_uuid(), now(), now(), 'silo', 'here' from generate_series(1, 3);
        with made as (
            insert into actors.runs (instance, workflow, created_at, run, owner, epoch, position, status, namespace, id, code)
            select {runs}0 + n, {runs}0 + n, now(), gen_random_uuid(), case when n % 2 = 0 then (select id from actors.silos limit 1) end, 1, 2,
                case when n % 5 = 0 then 1 else 0 end, 'default', '{runs} ' || n, (select code from actors.register_type('T')) from generate_series(1, {runs}) n
            returning instance)
        insert into actors.journal (instance, at, position, seq, kind, name, payload)
        select instance, now(), p, p, 1, 'step', '1' from made, generate_series(0, 2) p;
        insert into actors.timers (instance, due_at, code, seq) select {runs}0 + n, now() + n * interval '1 minute', (select code from actors.register_type('T')), 1 from generate_series(1, {runs}) n;
        insert into actors.inbox (workflow, at, code, message_id, name) select {runs}0 + n, now(), (select code from actors.register_type('T')), 'm', 'mail' from generate_series(1, {runs}, 10) n;
        insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key)
        select {runs}0 + n, actors.lane_of({runs}0 + n, 'hook', 'key'), now(), 1, 'hook', 'topic', 'key' from generate_series(1, {runs}, 3) n;
        """);

    [GeneratedRegex(@"\$\d+")]
    private static partial Regex Parameters();

    // Silos are few.
    [GeneratedRegex(@"Seq Scan on (?!silos).*|Hash.* Join.*|Merge.* Join.*|Bitmap Heap Scan.*")]
    private static partial Regex Whole();

    [GeneratedRegex(@"Index (Only )?Scan (Backward )?using (?<index>\w+) on (runs|journal|timers|inbox|outbox|waits)")]
    private static partial Regex IndexScan();
}
