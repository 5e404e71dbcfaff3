#if PLANTED_BUGS
using System.Diagnostics;
using System.Globalization;
using Actors.Storage;

namespace Actors.Faults;

/// <summary>The bugs that can be planted, each with what provokes it, and the proof that the checks see them.</summary>
internal static class PlantedBugs
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan Round = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan RestLimit = TimeSpan.FromSeconds(20);

    // Commits that take long leave room for others to come in between: some do nothing but wait for a while before they end.
    private static string SlowCommits(string table, double share, double secondsMax) => string.Create(CultureInfo.InvariantCulture, $"""
        create function slow_commit() returns trigger language plpgsql as $$
        begin
            if random() < {share} then perform pg_sleep(random() * {secondsMax}); end if;
            return null;
        end $$;
        create trigger slow_commit after insert on {table} for each statement execute function slow_commit();
        """);

    // Another owner comes, as a claim does, and gives the run away at once, as a silo does that stops.
    private const string Usurp = """
        with claimed as (
            update actors.workflows set epoch = epoch + 1, owner = null where status = 0 and owner is not null and random() < 0.1 returning instance)
        insert into actors.inbox (instance, at, message_id, name) select instance, actors.now(), '', '' from claimed on conflict do nothing
        """;

    private static readonly Bug[] All =
    [
        new("idempotency key per attempt", ["sink down"]),
        new("signal id forgotten on reload", ["kill", "answers lost"], Unrest: Usurp),
        new("acknowledged before commit", ["cut off from postgres", "kill"]),
        new("timers from the local clock", ["reset"]),
        new("outbox written after commit", ["kill", "kill all", "answers lost"]),
        new("delivery marked before sending", ["sink down", "kill"]),
        new("a lane goes on behind a failure", ["sink down"]),
        new("order of completions lost", ["kill", "terminate"], Unrest: Usurp),
        new("blind retry after an unknown commit", ["answers lost"]),
        new("no epoch check", ["cut off from postgres", "freeze"], SlowCommits("actors.journal", 0.05, 1), Usurp),
        new("lease without fence", ["cut off from postgres", "freeze"], SlowCommits("actors.journal", 0.05, 1), Usurp),
        new("KEY SHARE instead of the fence's lock", ["cut off from postgres", "freeze"], SlowCommits("actors.journal", 0.05, 1), Usurp),
        new("claim and load in one statement", ["kill", "kill two"], SlowCommits("actors.journal", 0.05, 6)),
        new("cursor by id only", ["slow", "reset"], SlowCommits("actors.outbox", 0.2, 0.1)),
        new("retention that ignores undelivered messages", [], Provoke: async rig =>
        {
            await Task.Delay(TimeSpan.FromSeconds(5));
            rig.Sink.Signal("STOP");
            await Task.Delay(TimeSpan.FromSeconds(80));
            rig.Sink.Signal("CONT");
        }),
    ];

    /// <summary>Returns the exit code: 0 when each bug was found.</summary>
    public static async Task<int> RunAsync(string root, string name, int seed)
    {
        if (name == "list")
        {
            Console.WriteLine(string.Join('\n', All.Select(bug => bug.Name)));
            return 0;
        }

        var bugs = All.Where(bug => name == "all" || name.Split(',').Contains(bug.Name)).ToList();
        if (bugs.Count == 0)
        {
            Console.Error.WriteLine($"There is no bug '{name}': ./faults --planted list");
            return 2;
        }

        var rows = new List<string>();
        foreach (var bug in bugs)
        {
            rows.Add(await FindAsync(root, bug, seed));
            Console.WriteLine(rows[^1]);
        }

        Console.WriteLine();
        Console.WriteLine("| bug | seed | found after s | check | what it said |");
        Console.WriteLine("|---|---|---|---|---|");
        rows.ForEach(Console.WriteLine);
        return rows.Exists(row => row.Contains(NotFound, StringComparison.Ordinal)) ? 1 : 0;
    }

    private const string NotFound = "NOT FOUND";

    private static async Task<string> FindAsync(string root, Bug bug, int seed)
    {
        Console.WriteLine($"== {bug.Name}, seed {seed}");
        var environment = new Dictionary<string, string> { [Planted.Variable] = bug.Name };
        if (bug.Provoke is not null)
        {
            environment[Rig.KeepVariable] = "60";
        }

        await using var rig = await Rig.StartAsync(root, environment);
        await rig.ExecuteAsync(bug.Setup ?? "select 1");
        var campaign = new Campaign(rig, seed, stopsAtFirst: true);
        using var stop = new CancellationTokenSource();
        var unrest = bug.Unrest is { } sql ? UnrestAsync(rig, sql, stop.Token) : Task.CompletedTask;
        var watch = Stopwatch.StartNew();
        for (var round = 0; campaign.Findings.First is null && watch.Elapsed < Limit; round++)
        {
            var number = round;
            await campaign.RoundAsync(
                load => bug.Provoke?.Invoke(rig) ?? new Nemesis(rig, load, seed + number).RunAsync(Round, bug.Faults, () => campaign.Findings.First is not null), RestLimit);
        }

        await stop.CancelAsync();
        await unrest;
        return campaign.Findings.First is { } found
            ? FormattableString.Invariant($"| {bug.Name} | {seed} | {found.After.TotalSeconds:F0} | {found.Check} | {found.What.Split('\n')[0]} |")
            : FormattableString.Invariant($"| {bug.Name} | {seed} | {NotFound} in {watch.Elapsed.TotalSeconds:F0} | | |");
    }

    private static async Task UnrestAsync(Rig rig, string sql, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await rig.ExecuteAsync(sql);
            }
            catch (Npgsql.NpgsqlException)
            {
                // Postgres is away, or a deadlock.
            }

            await Task.Delay(200, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <param name="Faults">Of <see cref="Nemesis"/>.</param>
    /// <param name="Setup">SQL, once, before the load.</param>
    /// <param name="Unrest">SQL, again and again.</param>
    /// <param name="Provoke">Instead of the faults, with retention of a minute.</param>
    private sealed record Bug(string Name, string[] Faults, string? Setup = null, string? Unrest = null, Func<Rig, Task>? Provoke = null);
}
#endif
