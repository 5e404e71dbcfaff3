using System.Collections.Concurrent;
using System.Diagnostics;
using Actors.CrashScenarios;
using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Processes;

/// <summary>
/// Every path that writes, in a process that is killed (SIGKILL) just before and just after each of its round trips to Postgres. Whatever it
/// left, the same scenario played again comes to its end, and the database holds what must be true.
/// </summary>
public sealed class CrashMatrixTests(ITestOutputHelper output)
{
    private const int Killed = 128 + 9;

    public static TheoryData<string> Names => [.. Scene.Names.Order()];

    private static string Program { get; } = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "Actors.CrashScenarios.exe" : "Actors.CrashScenarios");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_process_killed_around_any_round_trip_loses_nothing_and_does_nothing_twice(string scenario)
    {
        var roundTrips = (await UndisturbedAsync(scenario)).RoundTrips;
        var failures = new ConcurrentBag<string>();
        var survived = 0;
        // Every scenario begins with the same two; of the many of the largest every second one is enough. What the database holds after
        // round trip k it also holds before k + 1: both sides are played where something happens outside of it in between.
        var all = Enumerable.Range(1, (int)roundTrips).Where(k => scenario == "steps" || (k > 2 && (scenario != "twenty at once" || k % 2 == 0))).ToList();
        var outside = scenario is "steps" or "transactions" or "failed attempts" or "outbox delivery" or "drain";
        var cases = all.SelectMany(k => outside || k == roundTrips ? new[] { $"before:{k}", $"after:{k}" } : [$"before:{k}"]).ToList();
        await Parallel.ForEachAsync(cases, new ParallelOptions { MaxDegreeOfParallelism = 2, CancellationToken = Cancel }, async (at, _) =>
        {
            try
            {
                survived += await CrashAsync(scenario, at) == 0 ? 1 : 0;
            }
            catch (Exception error)
            {
                failures.Add($"{scenario,-22} {at,-10} {error.Message}");
            }
        });

        output.WriteLine($"{scenario}: {roundTrips} round trips, killed {cases.Count - survived - failures.Count} times");
        Assert.True(failures.IsEmpty, "scenario               ACTORS_CRASH_AT\n" + string.Join('\n', failures.Order()));
        // What ran beside each other may have shared a round trip more than in the undisturbed run.
        Assert.InRange(survived, 0, 2 + (roundTrips / 4));
    }

    [Fact]
    public async Task A_migration_that_was_killed_is_completed_by_the_next_start()
    {
        await using var database = await TestDatabase.CreateAsync();
        await ExecuteAsync(database, "drop schema actors cascade");
        // Migration 1 creates actors.workflows; whoever does that is killed in the middle of it.
        await ExecuteAsync(database, """
            create function hold() returns event_trigger language plpgsql as $$
            begin
                if exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'actors' and c.relname = 'timers') then
                    perform pg_sleep(600);
                end if;
            end $$;
            create event trigger hold on ddl_command_end execute function hold();
            """);
        using var first = Start("migrate", database.ConnectionString);
        await UntilAsleepAsync(database);
        first.Kill();
        await first.WaitForExitAsync(Cancel);
        // The server notices a lost client when it next speaks to it; here it sleeps, so end it.
        await ExecuteAsync(database, """
            drop event trigger hold;
            select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'
            """);
        using var second = Start("migrate", database.ConnectionString);
        Assert.Equal("", await second.StandardError.ReadToEndAsync(Cancel));
        await second.WaitForExitAsync(Cancel);
        Assert.Equal(0, second.ExitCode);
        await Migrator.CheckAsync(database.DataSource, Cancel);
    }

    private static async Task ExecuteAsync(TestDatabase database, string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Cancel);
    }

    private static async Task UntilAsleepAsync(TestDatabase database)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        await using var asleep = database.DataSource.CreateCommand(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'");
        while (await asleep.ExecuteScalarAsync(limit.Token) is not 1L)
        {
            // Until the process stands in the middle of its migration, or the limit is over.
        }
    }

    private static async Task<StatementProbe> UndisturbedAsync(string scenario)
    {
        await using var run = await Run.CreateAsync(scenario);
        var probe = new StatementProbe();
        await Scene.PlayAsync(scenario, run.Database.ConnectionString, run.Folder, probe);
        await run.CheckAsync(new Dictionary<long, int>());
        return probe;
    }

    /// <summary>The exit code of the process that was to die: 0 if it had no such round trip.</summary>
    private static async Task<int> CrashAsync(string scenario, string at)
    {
        await using var run = await Run.CreateAsync(scenario);
        using var process = Start(at, "scenario", scenario, run.Database.ConnectionString, run.Folder);
        var error = await process.StandardError.ReadToEndAsync(Cancel);
        await process.WaitForExitAsync(Cancel);
        Assert.True(process.ExitCode is Killed or 0, $"ended with {process.ExitCode}: {error}");

        var epochs = await run.EpochsAsync();
        try
        {
            await Scene.PlayAsync(scenario, run.Database.ConnectionString, run.Folder, new StatementProbe());
            await run.CheckAsync(epochs);
        }
        catch (Exception failure)
        {
            throw new InvalidOperationException($"{failure.Message.ReplaceLineEndings(" ")}\n{await run.DumpAsync()}", failure);
        }

        return process.ExitCode;
    }

    private static Process Start(params string[] arguments)
    {
        var at = arguments[0].Contains(':', StringComparison.Ordinal) ? arguments[0] : null;
        var start = new ProcessStartInfo(Program, at is null ? arguments : arguments[1..]) { RedirectStandardError = true, RedirectStandardOutput = true };
        start.Environment[StatementProbe.Variable] = at;
        start.Environment["DOTNET_TieredPGO"] = "0";
        return Process.Start(start)!;
    }
}

/// <summary>A database and a folder of one play, and what must be true of them at its end.</summary>
internal sealed class Run : IAsyncDisposable
{
    private readonly string _scenario;

    private Run(string scenario, TestDatabase database) => (_scenario, Database) = (scenario, database);

    public TestDatabase Database { get; }

    public string Folder { get; } = Directory.CreateTempSubdirectory("actors-crash-").FullName;

    public static async Task<Run> CreateAsync(string scenario) => new(scenario, await TestDatabase.CreateAsync());

    public async Task<Dictionary<long, int>> EpochsAsync()
    {
        var epochs = new Dictionary<long, int>();
        await using var command = Database.DataSource.CreateCommand("select instance, epoch from actors.workflows");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            epochs[reader.GetInt64(0)] = reader.GetInt32(1);
        }

        return epochs;
    }

    public async Task CheckAsync(Dictionary<long, int> epochsBefore)
    {
        await NoneAsync("workflows that have not ended or are owned", "select id from actors.workflows where status not in (1, 2) or owner is not null or ended_at is null");
        await NoneAsync("histories with gaps", """
            select w.id || ' ' || w.position from actors.workflows w
            where (select array_agg(j.position order by j.position) from actors.journal j where j.instance = w.instance)
                is distinct from (select array_agg(n) from generate_series(0, w.position) n)
            """);
        await NoneAsync("results of one command twice", """
            select instance || ' ' || seq from actors.journal where kind in (1, 2, 4, 5, 7, 10) group by instance, seq having count(*) > 1
            """);
        await NoneAsync("signals twice", "select message_id from actors.journal where message_id is not null group by instance, message_id having count(*) > 1");
        await NoneAsync("histories without one end", "select instance from actors.journal group by instance having count(*) filter (where kind in (11, 12)) <> 1");
        await NoneAsync("timers left", "select instance || ' ' || seq from actors.timers");
        await NoneAsync("mail left", "select message_id from actors.inbox");
        await NoneAsync("latest runs that are not one", "select id from actors.workflows group by id having count(*) filter (where latest) <> 1");
        await NoneAsync("business rows that are not the committed transactions", """
            (select note from business except all select id || ' ' || n from actors.workflows, generate_series(1, 2) n where type = 'Buys')
            union all (select id || ' ' || n from actors.workflows, generate_series(1, 2) n where type = 'Buys' except all select note from business)
            """);
        await NoneAsync("results of steps without their effect", """
            select replace(w.run::text, '-', '') || '-' || j.seq from actors.journal j join actors.workflows w using (instance)
            where j.kind in (1, 2) except select key from effects
            """);
        await NoneAsync("effects under a key of no step", """
            select key from effects except select replace(w.run::text, '-', '') || '-' || j.seq
            from actors.journal j join actors.workflows w using (instance) where j.kind in (1, 2)
            """);
        await NoneAsync("attempts that went back", """
            select key from (select key, attempt, lag(attempt) over (partition by key order by ctid) as before from effects) e where attempt < before
            """);
        foreach (var (instance, epoch) in await EpochsAsync())
        {
            Assert.True(epoch >= epochsBefore.GetValueOrDefault(instance), $"The epoch of {instance} went back from {epochsBefore.GetValueOrDefault(instance)} to {epoch}.");
        }

        await CheckMessagesAsync();
    }

    public async Task<string> DumpAsync()
    {
        await using var command = Database.DataSource.CreateCommand("""
            select coalesce(string_agg(line, E'\n' order by line), '') from (
                select 'workflow ' || to_jsonb(w)::text as line from actors.workflows w
                union all select 'journal ' || to_json(j)::text from actors.journal j union all select 'timer ' || to_json(t)::text from actors.timers t
                union all select 'inbox ' || to_json(i)::text from actors.inbox i union all select 'silo ' || to_json(s)::text from actors.silos s) l
            """);
        return (string)(await command.ExecuteScalarAsync())!;
    }

    public async ValueTask DisposeAsync()
    {
        await Database.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    /// <summary>Committed ids are 1, 2, … of each run; they lie in the outbox, or were delivered at least once and first in the order of their key.</summary>
    private async Task CheckMessagesAsync()
    {
        await using var command = Database.DataSource.CreateCommand("""
            select w.run || ':' || n from actors.workflows w,
                generate_series(1, (select coalesce(sum(j.messages), 0) from actors.journal j where j.instance = w.instance)) n
            """);
        var committed = await ReadAsync(command);
        await using var waiting = Database.DataSource.CreateCommand("select w.run || ':' || o.ordinal from actors.outbox o join actors.workflows w using (instance)");
        var left = await ReadAsync(waiting);
        var file = Path.Combine(Folder, "delivered");
        var delivered = File.Exists(file) ? await File.ReadAllLinesAsync(file) : [];
        var first = delivered.Select(line => line.Split(' ')).DistinctBy(line => line[0]).ToList();
        Assert.Equal(committed.Order(), left.Concat(first.Select(line => line[0])).Order());
        Assert.All(first.GroupBy(line => (line[0].Split(':')[0], line[1])), lane =>
            Assert.Equal(lane.Select(line => int.Parse(line[0].Split(':')[1])).Order(), lane.Select(line => int.Parse(line[0].Split(':')[1]))));
        Assert.True(_scenario != "outbox delivery" || (left.Count == 0 && first.Count == 4), "The outbox was not emptied.");
    }

    private static async Task<List<string>> ReadAsync(NpgsqlCommand command)
    {
        var rows = new List<string>();
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            rows.Add(reader.GetValue(0).ToString()!);
        }

        return rows;
    }

    private async Task NoneAsync(string what, string sql)
    {
        await using var command = Database.DataSource.CreateCommand(sql);
        var found = await ReadAsync(command);
        Assert.True(found.Count == 0, $"There are {what}: {string.Join(", ", found)}");
    }
}
