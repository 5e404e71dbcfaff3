using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Actors.Storage;

namespace Actors.Faults;

/// <summary>
/// The bugs that can be planted, each with what provokes it and the checks that must find it. The same provocations without a bug,
/// <c>none</c>, must find nothing.
/// </summary>
internal static partial class PlantedBugs
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan ControlLimit = TimeSpan.FromMinutes(1.5);
    private static readonly TimeSpan Round = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan RestLimit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan ControlRestLimit = TimeSpan.FromSeconds(60);

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
            update actors.runs set epoch = epoch + 1, owner = null where status = 0 and owner is not null and random() < 0.1
            returning workflow, code)
        insert into actors.inbox (workflow, at, code, kind, message_id, name) select workflow, actors.now(), code, 1, '', '' from claimed on conflict do nothing
        """;

    private static readonly string[] Writers = ["only_the_owner_writes", "positions_in_order", "positions_without_gaps",
        "replay_gives_the_live_state"];

    private static readonly Bug[] All =
    [
        new("idempotency key per attempt", ["sink down"], ["idempotency_keys_stable"]),
        new("signal id forgotten on reload", ["kill", "answers lost"], ["signals_once", "acknowledged_exactly_once"], Unrest: Usurp),
        new("acknowledged before commit", ["cut off from postgres", "kill"], ["acknowledged_is_recorded", "acknowledged_exactly_once"],
            SlowCommits("actors.journal", 0.05, 1), Usurp),
        new("timers from the local clock", ["reset"], ["timers_once_and_not_early"]),
        new("outbox written after commit", ["kill", "kill all", "answers lost"], ["outbox_delivers_all"]),
        new("delivery marked before sending", ["sink down", "kill"], ["outbox_delivers_all"]),
        new("a lane goes on behind a failure", ["sink down", "webhooks moody"], ["order_per_key"]),
        new("start without its request", ["calls repeated"], ["repeats_make_one_run"]),
        new("order of completions lost", ["kill", "terminate"], ["replay_gives_the_live_state", "all_completed"], Unrest: Usurp),
        new("blind retry after an unknown commit", ["answers lost"], [.. Writers, "transactions_exactly_once"]),
        new("no epoch check", ["cut off from postgres", "freeze"], Writers, SlowCommits("actors.journal", 0.05, 1), Usurp),
        new("lease without fence", ["cut off from postgres", "freeze"], Writers, SlowCommits("actors.journal", 0.05, 1), Usurp),
        new("KEY SHARE instead of the fence's lock", ["cut off from postgres", "freeze"], Writers, SlowCommits("actors.journal", 0.05, 1),
            Usurp),
        new("claim and load in one statement", ["kill", "kill two"], [.. Writers, "all_completed"], SlowCommits("actors.journal", 0.05, 6)),
        new("work given away without a letter", ["silo cut off from silos"], ["recovers"]),
        new("enlists in the caller's transaction", ["callers with transactions"], ["acknowledged_is_recorded"]),
        new("commits not waited for", ["postmaster", "immediate shutdown"],
            ["acknowledged_is_recorded", "acknowledged_exactly_once", "replay_gives_the_live_state"]),
        new("silence is waited out", ["postgres vanished"], ["recovers"]),
        new("an expired lease buries nobody", ["one silo silent to postgres for minutes"], ["recovers"]),
        new("a body's settings stay", ["bodies that misbehave"], ["misdeeds_are_recorded", "recovers"]),
        new("loads whatever comes", ["many large runs under a small heap"], ["silos_do_not_crash", "recovers"]),
        new("cursor by id only", ["slow", "reset"], ["outbox_delivers_all", "order_per_key"], SlowCommits("actors.outbox", 0.2, 0.1)),
        new("retention that ignores undelivered messages", [], ["outbox_delivers_all", "nothing_left"], Provoke: async rig =>
        {
            rig.Webhooks.Mode = ReceiverMode.Down;
            await Task.Delay(TimeSpan.FromSeconds(90));
            rig.Webhooks.Mode = ReceiverMode.Works;
        }),
    ];

    /// <summary>A control: no bug, and every provocation of some bugs, which differ in the set-up alone.</summary>
    private static IEnumerable<Bug> Controls =>
        All.GroupBy(bug => (bug.Setup, bug.Unrest, bug.Provoke is null)).Select(same => same.First() with
    {
        Name = None, Faults = [.. same.SelectMany(bug => bug.Faults).Distinct()], Expects = null,
        Of = string.Join(", ", same.Select(bug => bug.Name)),
    });

    /// <summary>Returns the exit code: 0 when each bug was found.</summary>
    public static async Task<int> RunAsync(string root, string name, int seed)
    {
        if (!IsBuiltIn)
        {
            Console.Error.WriteLine("This build has no bugs on purpose: ./faults --planted makes one that has.");
            return 2;
        }

        if (name == "list")
        {
            Console.WriteLine(string.Join('\n', All.Select(bug => bug.Name).Append(None)));
            return 0;
        }

        var names = name.Split(',');
        var bugs = All.Concat(Controls).Where(bug => name == "all" || names.Contains(bug.Name)).ToList();
        if (bugs.Count == 0)
        {
            Console.Error.WriteLine($"There is no bug '{name}': ./faults --planted list");
            return 2;
        }

        var rows = new List<string>();
        foreach (var bug in bugs)
        {
            rows.Add(bug.Name == None ? await ControlAsync(root, bug, seed) : await FindAsync(root, bug, seed));
            Console.WriteLine(rows[^1]);
        }

        Console.WriteLine();
        Console.WriteLine("| bug | seed | found after s | check | what it said |");
        Console.WriteLine("|---|---|---|---|---|");
        rows.ForEach(Console.WriteLine);
        return rows.Exists(row => row.Contains(NotFound, StringComparison.Ordinal) || row.Contains(Found, StringComparison.Ordinal)) ? 1
            : 0;
    }

    private const string None = "none";
    private const string NotFound = "NOT FOUND";
    private const string Found = "FOUND WITHOUT A BUG";

    private static async Task<string> FindAsync(string root, Bug bug, int seed)
    {
        var (campaign, seconds) = await PlayAsync(root, bug, seed, Limit);
        return campaign.Findings.First is { } found
            ? FormattableString.Invariant(
                $"| {bug.Name} | {seed} | {found.After.TotalSeconds:F0} | {found.Check} | {found.What.Split('\n')[0]} |")
            : FormattableString.Invariant($"| {bug.Name} | {seed} | {NotFound} in {seconds:F0} | | |");
    }

    private static async Task<string> ControlAsync(string root, Bug control, int seed)
    {
        var (campaign, seconds) = await PlayAsync(root, control, seed, ControlLimit);
        campaign.Findings.Print();
        return campaign.Findings.First is { } found
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"| none, but what provokes: {control.Of} | {seed} | {Found} after {found.After.TotalSeconds:F0} | {found.Check} | "
                + $"{found.What.Split('\n')[0]} |")
            : FormattableString.Invariant($"| none, but what provokes: {control.Of} | {seed} | nothing in {seconds:F0} | all | |");
    }

    private static async Task<(Campaign Campaign, double Seconds)> PlayAsync(string root, Bug bug, int seed, TimeSpan limit)
    {
        Console.WriteLine($"== {bug.Name}{(bug.Of is null ? "" : $", but what provokes: {bug.Of}")}, seed {seed}");
        var environment = new Dictionary<string, string> { ["ACTORS_PLANTED_BUG"] = bug.Patch };
        if (bug.Provoke is not null)
        {
            environment[Rig.KeepVariable] = "60";
        }

        await using var rig = await Rig.StartAsync(root, environment);
        await rig.ExecuteAsync(bug.Setup ?? "select 1");
        var campaign = new Campaign(rig, seed, stopsAtFirst: true);
        campaign.Findings.Expects = bug.Expects;
        var watch = Stopwatch.StartNew();
        for (var round = 0; campaign.Findings.First is null && watch.Elapsed < limit; round++)
        {
            var number = round;
            await campaign.RoundAsync(
                load => ProvokeAsync(rig, bug, load, seed + number, () => campaign.Findings.First is not null),
                bug.Name == None ? ControlRestLimit : RestLimit);
        }

        return (campaign, watch.Elapsed.TotalSeconds);
    }

    private static async Task ProvokeAsync(Rig rig, Bug bug, Load load, int seed, Func<bool> enough)
    {
        using var stop = new CancellationTokenSource();
        var unrest = bug.Unrest is { } sql ? UnrestAsync(rig, sql, stop.Token) : Task.CompletedTask;
        try
        {
            await (bug.Provoke?.Invoke(rig) ?? new Nemesis(rig, load, seed).RunAsync(Round, bug.Faults, enough));
        }
        finally
        {
            await stop.CancelAsync(); // What ends must be left in peace.
            await unrest;
        }
    }

    private static async Task UnrestAsync(Rig rig, string sql, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await rig.ExecuteAsync(sql);
            }
            catch (Npgsql.NpgsqlException error)
                when (error is not Npgsql.PostgresException { SqlState: ['4', '2', ..] }) // A statement that is wrong is ours to mend.
            {
                // Postgres is away, or a deadlock.
            }

            await Task.Delay(200, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <param name="Faults">Of <see cref="Nemesis"/>.</param>
    /// <param name="Expects">The checks that see it; null: none may find anything.</param>
    /// <param name="Setup">SQL, once, before the load.</param>
    /// <param name="Unrest">SQL, again and again.</param>
    /// <param name="Provoke">Instead of the faults, with retention of a minute.</param>
    private sealed record Bug(
        string Name, string[] Faults, string[]? Expects, string? Setup = null, string? Unrest = null, Func<Rig, Task>? Provoke = null)
    {
        /// <summary>Of a control: the bugs that are provoked like this.</summary>
        public string? Of { get; init; }

        /// <summary>The name of its file in Planted/.</summary>
        public string Patch => NoLetterPattern().Replace(Name.ToLowerInvariant(), "-");
    }

    private static bool IsBuiltIn => typeof(EngineDatabase).Assembly.GetType("Actors.Storage.Planted") is not null;

    [GeneratedRegex("[^a-z]+")]
    private static partial Regex NoLetterPattern();
}
