using Npgsql;
using static Actors.Storage.BatchStatement;

namespace Actors.Storage;

/// <summary>Why a run must be brought to memory though nobody told.</summary>
internal enum Finding
{
    /// <summary>A timer is due, and nobody has the run.</summary>
    Timer,

    /// <summary>Letters wait.</summary>
    Letter,

    /// <summary>Its owner is dead.</summary>
    Orphan,

    /// <summary>Started by SQL, and nobody's yet.</summary>
    New,

    /// <summary>Left alone by a silo for something that this one knows.</summary>
    LeftAlone,
}

/// <summary>Looks for work that nobody was told of, by state and never by cursor: a statement a kind, all in one round trip with the
/// renewal of this silo's lease.</summary>
internal sealed class WorkFinder(EngineDatabase database, Codes codes)
{
    /// <summary>Most runs of a kind that one look finds.</summary>
    public const int FoundMax = 1000;

    private static readonly string RenewLease = SqlText.Get("renew_lease");
    private static readonly string FindExpiredLeases = SqlText.Get("find_expired_leases");
    private static readonly string PutLateLettersAside = SqlText.Get("put_late_letters_aside");

    // What a silo elsewhere has not taken for so long it may lack the code for.
    private static readonly TimeSpan LeftFor = TimeSpan.FromSeconds(10);

    /// <summary>The finders, in the order of their answers; <c>Far</c>: now and then only; <c>Elsewhere</c>: in the partitions of
    /// others.</summary>
    private static readonly (Finding Finding, string Sql, bool Far, bool Elsewhere)[] Finders =
    [
        (Finding.Timer, SqlText.Get("find_due_timers"), false, false),
        (Finding.Letter, SqlText.Get("find_letters"), false, false),
        (Finding.Orphan, SqlText.Get("find_runs_of_the_dead"), false, false),
        (Finding.Timer, SqlText.Get("find_due_timers"), true, true),
        (Finding.Letter, SqlText.Get("find_letters"), true, true),
        (Finding.Orphan, SqlText.Get("find_runs_of_the_dead"), true, true),
        (Finding.Orphan, SqlText.Get("find_runs_of_the_forgotten"), true, false),
        (Finding.New, SqlText.Get("find_new_runs"), false, false),
        (Finding.New, SqlText.Get("find_new_runs_elsewhere"), true, false),
        (Finding.LeftAlone, SqlText.Get("find_left_alone"), true, false),
    ];

    /// <summary>Marks letters that came too late, too.</summary>
    /// <param name="partitions">Whose work is looked for.</param>
    /// <param name="lookAhead">Timers due within this time count.</param>
    /// <param name="room">How many new runs are wanted.</param>
    /// <param name="far">Looks for what hardly ever is, too: runs of owners that nobody knows, new runs that others left.</param>
    public async Task<Found> FindAsync(TimeSpan lease, short[] partitions, TimeSpan lookAhead, int room, bool far) =>
        await database.QueryAsync(
            database.Engine, "sweep", batch => Write(batch, lease, partitions, lookAhead, room, far), reader => ReadAsync(reader, far));

    public void Write(NpgsqlBatch batch, TimeSpan lease, short[] partitions, TimeSpan lookAhead, int room, bool far)
    {
        batch.Add(RenewLease, Silo(), Interval(lease));
        batch.Add(FindExpiredLeases, Silo(), Interval(lease));
        batch.Add(PutLateLettersAside, Codes());
        short[] others = far ? [.. Partition.All.Except(partitions)] : [];
        foreach (var (finding, sql, _, elsewhere) in Finders.Where(finder => far || !finder.Far))
        {
            var most = Number(finding == Finding.New ? Math.Clamp(room, 0, FoundMax) : FoundMax);
            var its = new NpgsqlParameter<short[]> { TypedValue = elsewhere ? others : partitions };
            batch.Add(sql, finding switch
            {
                Finding.Timer => [Codes(), its, most, Interval(elsewhere ? -LeftFor : lookAhead)],
                Finding.LeftAlone => [Codes(), most, Number(codes.Formats.LastKind), Number(codes.Formats.FlagCount)],
                _ => [Codes(), its, most],
            });
        }
    }

    public static async Task<Found> ReadAsync(NpgsqlDataReader reader, bool far)
    {
        var found = new Found { Now = await reader.ReadAsync() ? reader.GetTime(0) : null };
        await reader.NextResultAsync();
        while (await reader.ReadAsync())
        {
            found.Expired.Add((reader.GetGuid(0), reader.GetString(1), reader.GetTime(2)));
        }

        foreach (var (finding, _, _, _) in Finders.Where(finder => far || !finder.Far))
        {
            await reader.NextResultAsync(); // The update before the first of them returns no rows, and has no result.
            while (await reader.ReadAsync())
            {
                found.Add(finding, new WorkflowId(reader.GetString(1), reader.GetString(0)));
            }
        }

        return found;
    }

    /// <summary>False: this silo was declared dead.</summary>
    public async Task<bool> RenewLeaseAsync(TimeSpan lease, CancellationToken stop) => await database.QueryAsync(
        database.Engine, "renew lease", batch => batch.Add(RenewLease, Silo(), Interval(lease)), reader => reader.ReadAsync(stop), stop);

    private NpgsqlParameter<Guid> Silo() => new() { TypedValue = database.Silo };

    private static NpgsqlParameter<int> Number(int value) => new() { TypedValue = value };

    private NpgsqlParameter<int[]> Codes() => new() { TypedValue = codes.All };
}

/// <summary>What one look found.</summary>
internal sealed class Found
{
    private readonly int[] _counts = new int[Enum.GetValues<Finding>().Length];

    /// <summary>The database's time; null: this silo was declared dead, and its lease is not renewed.</summary>
    public DateTimeOffset? Now { get; init; }

    /// <summary>Of other silos.</summary>
    public List<(Guid Id, string Address, DateTimeOffset Until)> Expired { get; } = [];

    public HashSet<WorkflowId> Runs { get; } = [];

    /// <summary>There may be more of some kind.</summary>
    public bool IsFull => _counts.Max() >= WorkFinder.FoundMax;

    public int Count(Finding finding) => _counts[(int)finding];

    public void Add(Finding finding, WorkflowId run)
    {
        _counts[(int)finding]++;
        Runs.Add(run);
    }
}
