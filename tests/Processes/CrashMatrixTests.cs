using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.RegularExpressions;
using Actors.CrashScenarios;
using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Processes;

/// <summary>
/// Every path that writes, in a process that is killed (SIGKILL) just before and just after each of its round trips to Postgres. Whatever
/// it left, the same scenario played again comes to its end, and the database holds what must be true. The fast tier kills some processes
/// of one scenario; else it plays lives that end within this one, in the other scenarios at every fourteenth round trip and the last.
/// </summary>
public sealed partial class CrashMatrixTests(ITestOutputHelper output)
{
    private static readonly ConcurrentDictionary<string, Lazy<Task<long>>> RoundTrips = new();
    private static readonly ConcurrentDictionary<string, bool> Texts = new();

    private static bool _undisturbed;

    // Before the first play, which sends some statements for all.
    static CrashMatrixTests() => ActivitySource.AddActivityListener(new ActivityListener
    {
        ShouldListenTo = source => source.Name == "Npgsql",
        Sample = (ref ActivityCreationOptions<ActivityContext> _) =>
            Volatile.Read(ref _undisturbed) ? ActivitySamplingResult.AllData : ActivitySamplingResult.None,
        ActivityStopped = activity => Texts.TryAdd($"{activity.GetTagItem("db.query.text")}", true),
    });

    public static TheoryData<string> Names => [.. Scene.Names.Order()];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_process_killed_around_any_round_trip_loses_nothing_and_does_nothing_twice(string scenario)
    {
        var roundTrips = await UndisturbedAsync(scenario);
        var failures = new ConcurrentBag<string>();
        var survived = 0;
        var cases = Cases(scenario, roundTrips);
        var kills = TestTier.IsAll ? cases : scenario is "steps" ? [.. cases.Where((_, place) => place % 4 == 0)] : [];
        await Parallel.ForEachAsync(cases, new ParallelOptions { MaxDegreeOfParallelism = 2, CancellationToken = Cancel }, async (at, _) =>
        {
            try
            {
                var died = kills.Contains(at) ? await CrashMatrix.KillAsync(scenario, at) : await CrashMatrix.EndLifeAsync(scenario, at);
                if (!died)
                {
                    Interlocked.Increment(ref survived);
                }
            }
            catch (Exception error)
            {
                failures.Add($"{scenario,-22} {at,-10} {error.Message}");
            }
        });

        output.WriteLine(
            $"{scenario}: {roundTrips} round trips, {cases.Count} plays, {kills.Count} of them in processes; "
                + $"{cases.Count - survived - failures.Count} died");
        Assert.True(failures.IsEmpty, "scenario               ACTORS_CRASH_AT\n" + string.Join('\n', failures.Order()));
        // What ran beside each other may have shared a round trip more than in the undisturbed run.
        Assert.InRange(survived, 0, Math.Min(cases.Count - 1, 2 + (roundTrips / 4)));
    }

    /// <summary>
    /// Every scenario begins with the same two round trips; of the many of the largest every fourth one is enough. What the database holds
    /// after round trip k it also holds before k + 1: both sides are played where something happens outside of it in between.
    /// </summary>
    private static List<string> Cases(string scenario, long roundTrips)
    {
        var stride = scenario is "twenty at once" ? 4 : TestTier.IsAll || scenario is "steps" or "online index" ? 1 : 14;
        var outside = scenario is "steps" or "transactions" or "failed attempts" or "outbox delivery" or "failed "
            + "deliveries" or "redrive" or "drain" or "online index";
        return
        [
            .. from k in Enumerable.Range(1, (int)roundTrips)
               where k > 2 || scenario is "steps" or "migration" or "online index"
               where k % stride == 0 || k == roundTrips
               from side in outside || k == roundTrips ? new[] { "before", "after" } : ["before"]
               select $"{side}:{k}",
        ];
    }

    /// <summary>How many round trips it takes when nothing disturbs it; each is played once.</summary>
    private static Task<long> UndisturbedAsync(string scenario) =>
        RoundTrips.GetOrAdd(scenario, name => new(async () =>
        {
            _undisturbed = true;
            try
            {
                return (await CrashMatrix.UndisturbedAsync(name)).RoundTrips;
            }
            finally
            {
                _undisturbed = false;
            }
        })).Value;

    [Fact]
    public async Task Every_statement_that_writes_is_sent_by_a_scenario()
    {
        foreach (var scenario in Scene.Names)
        {
            await UndisturbedAsync(scenario);
        }

        var sent = string.Join('\n', Texts.Keys);
        var writing = SqlText.Folder("Sql").Where(file => WritePattern().IsMatch(file.Text)).Select(file => file.Name).ToList();
        var unsent = writing.Where(
            name => !sent.Contains(SqlText.Get(name), StringComparison.Ordinal)
            && !sent.Contains(SqlText.ForOne(name), StringComparison.Ordinal));
        Assert.Equal(string.Join(", ", Elsewhere.Keys.Order(StringComparer.Ordinal)),
            string.Join(", ", unsent.Order(StringComparer.Ordinal)));
        output.WriteLine($"{writing.Count} statements write; {writing.Count - Elsewhere.Count} are sent by scenarios");
    }

    /// <summary>Statements that no scenario sends, and why they need no row in the matrix.</summary>
    private static Dictionary<string, string> Elsewhere { get; } = new()
    {
        ["declare_silo_dead"] = "sent for a process that has died, by another: alone, and a repeat changes nothing",
        ["forget_silos"] = "sent by every thousandth sweep: alone, and what a crash leaves the next one deletes",
        ["retire_silo"] = "sent by a silo that starts, about Orleans' members (OrleansMembershipTests): alone, and a repeat changes "
            + "nothing",
    };

    [GeneratedRegex(@"insert into|update actors\.|delete from|actors\.(send|commit_transition|commit_start|redrive)\(")]
    private static partial Regex WritePattern();

    [Fact]
    public async Task A_migration_that_was_killed_is_completed_by_the_next_start()
    {
        await using var database = await TestDatabase.CreateAsync();
        await ExecuteAsync(database, "drop schema actors cascade");
        // Migration 1 creates actors.runs; whoever does that is killed in the middle of it.
        await ExecuteAsync(database, """
            create function hold() returns event_trigger language plpgsql as $$
            begin
                if exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'actors' and c.relname = 'timers') then
                    perform pg_sleep(600);
                end if;
            end $$;
            create event trigger hold on ddl_command_end execute function hold();
            """);
        using var first = CrashMatrix.Start(null, "migrate", database.ConnectionString);
        await UntilAsleepAsync(database);
        first.Kill();
        await first.WaitForExitAsync(Cancel);
        // The server notices a lost client when it next speaks to it; here it sleeps, so end it.
        await ExecuteAsync(database, """
            drop event trigger hold;
            select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'
            """);
        using var second = CrashMatrix.Start(null, "migrate", database.ConnectionString);
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
}
