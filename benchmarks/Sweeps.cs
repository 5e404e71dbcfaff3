using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace Actors.Benchmarks;

/// <summary>What a silo's sweep takes where many runs are set aside or of types that the silo lacks, each with a due timer and a
/// letter.</summary>
internal static class Sweeps
{
    private const int Measured = 40; // Twenty seconds of sweeps, two of which look far.

    public static async Task<string> MeasureAsync(SiloUnderTest silo, string connectionString, int count)
    {
        var text = new Lines($"{count:N0} runs set aside, {count:N0} of types that the silo lacks");
        text.Add($"a sweep before: {await MillisecondsAsync(silo)}");
        await using var source = NpgsqlDataSource.Create(connectionString + ";Command Timeout=3600");
        foreach (var statement in Fill(count))
        {
            await using var command = source.CreateCommand(statement);
            await command.ExecuteNonQueryAsync();
        }

        text.Add($"a sweep with them: {await MillisecondsAsync(silo)}");
        var rare = await source.ScalarAsync<int>("select code from actors.codes where type = 'Rare'"); // A plan must know which.
        foreach (var (name, condition) in Lists)
        {
            text.Add($"{name}: {await ListMillisecondsAsync(source, string.Format(CultureInfo.InvariantCulture, condition, rare))}");
        }

        return text.ToString();
    }

    // Fifty rows each, by the primary key or one of the indexes that are there for lists.
    private static readonly (string Name, string Sql)[] Lists =
    [
        ("newest of all", ""),
        ("the page after a hundred thousand", "and w.instance < (select max(instance) - 100000 from actors.runs)"),
        ("newest of a rare type", "and w.code = {0} and w.code::bigint > 0"),
        ("newest that are set aside", "and w.status = 3 and w.status::integer > 1"),
        ("newest that failed, of which there are ten", "and w.status = 2 and w.status::integer > 1"),
    ];

    private static async Task<string> ListMillisecondsAsync(NpgsqlDataSource source, string condition)
    {
        var (times, rows) = (new List<double>(), 0);
        for (var i = 0; i < 21; i++)
        {
            var began = Stopwatch.GetTimestamp();
            await using var list = source.CreateCommand(
                $"select w.instance, w.id, w.status, w.created_at from actors.runs w where true {condition} order by w.instance desc limit 50");
            await using var reader = await list.ExecuteReaderAsync();
            for (rows = 0; await reader.ReadAsync(); rows++)
            {
            }

            times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
        }

        times.Sort();
        return FormattableString.Invariant($"{rows} rows, p50 {times[10]:0.0} ms, the longest {times[^1]:0.0} ms");
    }

    /// <summary>The round trips of so many sweeps, as the silo makes them by itself.</summary>
    private static async Task<string> MillisecondsAsync(SiloUnderTest silo)
    {
        var (began, times, all) = (0L, new List<double>(), new TaskCompletionSource());
        silo.Probe.Before = name =>
        {
            began = name == "sweep" ? Stopwatch.GetTimestamp() : began;
            return Task.CompletedTask;
        };
        silo.Probe.After = name =>
        {
            if (name == "sweep" && began != 0) // Else it was under way when this began.
            {
                times.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
                _ = times.Count == Measured && all.TrySetResult();
            }

            return Task.CompletedTask;
        };
        await all.Task;
        (silo.Probe.Before, silo.Probe.After) = (null, null);
        times.Sort();
        return FormattableString.Invariant($"p50 {times[Measured / 2]:0.0} ms, the longest {times[^3]:0.0}, {times[^2]:0.0} and {times[^1]:0.0} ms of {Measured}");
    }

    private static string[] Fill(int count) =>
    [
        "select actors.register_type('Foreign')",
        $"""
        insert into actors.runs (instance, workflow, created_at, run, owner, epoch, position, status, flags, namespace, id, code)
        select n, n, now(), gen_random_uuid(), null, 1, 1, case when n % 2 = 0 then 3 else 0 end, 1 - n % 2, 'default', 'swept-' || n,
            (select c.code from actors.codes c where c.type = case when n % 2 = 0 then 'OneStep' else 'Foreign' end)
        from generate_series(1000000000001, 1000000000000 + 2 * {count}::bigint) n
        """,
        """
        insert into actors.timers (instance, due_at, code, seq, parked)
        select instance, now() - interval '1 day', code, 1, status = 3 from actors.runs where id like 'swept-%'
        """,
        """
        insert into actors.inbox (workflow, at, code, state, message_id, name)
        select instance, now(), code, case when status = 3 then 2 else 0 end, 'm', 'Go' from actors.runs where id like 'swept-%'
        """,
        "select actors.register_type('Rare')",
        "update actors.runs set code = (select code from actors.codes where type = 'Rare'), status = 2, ended_at = now() where instance between 1000000000001 and 1000000000010",
        "update actors.runs set code = (select code from actors.codes where type = 'Rare') where instance between 1000000000011 and 1000000000100",
        "analyze actors.runs, actors.timers, actors.inbox",
    ];
}
