using System.Globalization;
using Actors.Support;
using Npgsql;

namespace Actors.CrashScenarios;

/// <summary>A database and a folder of one play, and what must be true of them at its end.</summary>
internal sealed class CrashRun : IAsyncDisposable
{
    private readonly string _scenario;

    private CrashRun(string scenario, TestDatabase database) => (_scenario, Database) = (scenario, database);

    public TestDatabase Database { get; }

    public string Folder { get; } = Directory.CreateTempSubdirectory("actors-crash-").FullName;

    public static async Task<CrashRun> CreateAsync(string scenario) => new(scenario, await TestDatabase.CreateAsync());

    public async Task<Dictionary<long, int>> EpochsAsync()
    {
        var epochs = new Dictionary<long, int>();
        await using var exists = Database.DataSource.CreateCommand("select to_regclass('actors.runs') is not null");
        if (await exists.ExecuteScalarAsync() is false)
        {
            return epochs; // Died before its migration was committed.
        }

        await using var command = Database.DataSource.CreateCommand("select instance, epoch from actors.runs");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            epochs[reader.GetInt64(0)] = reader.GetInt32(1);
        }

        return epochs;
    }

    public async Task CheckAsync(Dictionary<long, int> epochsBefore)
    {
        await NoneAsync("workflows that have not ended or are owned",
            "select id from actors.runs where status not in (1, 2) or owner is not null or ended_at is null");
        await NoneAsync("histories with gaps", """
            select w.id || ' ' || w.position from actors.runs w
            where (select array_agg(j.position order by j.position) from actors.journal j where j.instance = w.instance)
                is distinct from (select array_agg(n) from generate_series(0, w.position) n)
            """);
        await NoneAsync("results of one command twice", """
            select instance || ' ' || seq from actors.journal where kind in (1, 2, 4, 5, 7, 10) group by instance, seq having count(*) > 1
            """);
        await NoneAsync("signals twice",
            "select message_id from actors.journal where message_id is not null group by instance, message_id having count(*) > 1");
        await NoneAsync("histories without one end",
            "select instance from actors.journal group by instance having count(*) filter (where kind in (11, 12)) <> 1");
        await NoneAsync("waits left", "select x.instance || ' ' || x.name from actors.waits x");
        await NoneAsync("runs parked", "select id from actors.runs where flags <> 0");
        await NoneAsync("timers left", "select instance || ' ' || seq from actors.timers");
        await NoneAsync("mail left", "select message_id from actors.inbox where state <> 1 or message_id <> 'm-unfit'");
        await NoneAsync("latest runs that are not one",
            "select id from actors.runs group by id having count(*) filter (where latest) <> 1");
        await NoneAsync("business rows that are not the committed transactions", """
            (select note from business except all select id || ' ' || n from actors.runs, generate_series(1, 2) n where code = (select code from actors.register_type('Buys')))
            union all (select id || ' ' || n from actors.runs, generate_series(1, 2) n where code = (select code from actors.register_type('Buys')) except all select note from business)
            """);
        await NoneAsync("results of steps without their effect", """
            select replace(w.run::text, '-', '') || '-' || j.seq from actors.journal j join actors.runs w using (instance)
            where j.kind in (1, 2) except select regexp_replace(key, '-[0-9a-f]+$', '') from effects
            """);
        await NoneAsync("effects under a key of no step", """
            select regexp_replace(key, '-[0-9a-f]+$', '') from effects except select replace(w.run::text, '-', '') || '-' || j.seq
            from actors.journal j join actors.runs w using (instance) where j.kind in (1, 2)
            """);
        await NoneAsync("attempts that went back", """
            select key from (select key, attempt, lag(attempt) over (partition by key order by ctid) as before from effects) e where attempt < before
            """);
        foreach (var (instance, epoch) in await EpochsAsync())
        {
            Must(epoch >= epochsBefore.GetValueOrDefault(instance),
                $"The epoch of {instance} went back from {epochsBefore.GetValueOrDefault(instance)} to {epoch}.");
        }

        await CheckMessagesAsync();
    }

    public async Task<string> DumpAsync()
    {
        await using var command = Database.DataSource.CreateCommand("""
            select coalesce(string_agg(line, E'\n' order by line), '') from (
                select 'workflow ' || to_jsonb(w)::text as line from actors.runs w
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

    /// <summary>Committed ids are 1, 2, … of each run; they lie in the outbox, or were delivered at least once and first in the order of
    /// their key.</summary>
    private async Task CheckMessagesAsync()
    {
        await using var command = Database.DataSource.CreateCommand("""
            select w.run || ':' || n from actors.runs w,
                generate_series(1, (select coalesce(sum(j.messages), 0) from actors.journal j where j.instance = w.instance)) n
            """);
        var committed = await ReadAsync(command);
        await using var waiting = Database.DataSource.CreateCommand("""
            select w.run || ':' || o.ordinal from (select instance, ordinal from actors.outbox union all select instance, ordinal from actors.dead_letters) o
            join actors.runs w using (instance)
            """);
        var left = await ReadAsync(waiting);
        var file = Path.Combine(Folder, "delivered");
        var delivered = File.Exists(file) ? await File.ReadAllLinesAsync(file) : [];
        var first = delivered.Select(line => line.Split(' ')).DistinctBy(line => line[0]).ToList();
        var accounted = left.Concat(first.Select(line => line[0])).Order().ToList();
        Must(committed.Order().SequenceEqual(accounted),
            $"Committed are the messages {string.Join(", ", committed)}; left or delivered are {string.Join(", ", accounted)}.");
        foreach (var lane in first.GroupBy(line => (line[0].Split(':')[0], line[1])))
        {
            var ordinals = lane.Select(line => int.Parse(line[0].Split(':')[1], CultureInfo.InvariantCulture)).ToList();
            Must(ordinals.Order().SequenceEqual(ordinals),
                $"Key {lane.Key.Item2} of run {lane.Key.Item1} was delivered in the order {string.Join(", ", ordinals)}.");
        }

        var (leaves, delivers) = _scenario switch { "outbox delivery" => (0, 4), "failed deliveries" => (1, 1), "redrive" => (0, 2), _ =>
            (left.Count, first.Count) };
        Must((left.Count, first.Count) == (leaves, delivers),
            $"{left.Count} messages are left and {first.Count} delivered, not {leaves} and {delivers}.");
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
        Must(found.Count == 0, $"There are {what}: {string.Join(", ", found)}");
    }

    private static void Must(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new DifferenceException(otherwise);
        }
    }
}
