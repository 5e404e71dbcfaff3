using System.Data.Common;
using Actors.Wire;
using Npgsql;

namespace Actors.Storage;

/// <summary>A row of actors.runs, and who owns it.</summary>
/// <param name="Workflow">Instance of the id's first run: what is remembered beyond one run hangs on it.</param>
/// <param name="Version">Of its code; empty: undeclared.</param>
/// <param name="BeginsAt">Of one that has not begun.</param>
internal sealed record StoredRun(
    WorkflowId Id,
    long Instance,
    Guid Run,
    string Type,
    WorkflowStatus Status,
    int Epoch,
    int Position,
    int CrashCount,
    Guid? Owner,
    DateTimeOffset CreatedAt,
    DateTimeOffset? EndedAt,
    string? OwnerAddress,
    bool OwnerDead,
    long Workflow,
    int Code = 0,
    string Version = "",
    RunFlags Flags = RunFlags.None,
    DateTimeOffset? BeginsAt = null)
{
    /// <summary>True for the first run of its id: no earlier one has taken messages.</summary>
    public bool IsFirst => Workflow == Instance;

    public bool HasEnded => EndedAt is not null;

    /// <summary>False for a run that was in memory from its start on: it has left no word of what it waits for.</summary>
    public bool MayHaveWait => Epoch > 1;

    public static StoredRun Read(NpgsqlDataReader row) => new(
        new WorkflowId(row.GetString(1), row.GetString(0)),
        row.GetInt64(2),
        row.GetGuid(3),
        row.GetString(4),
        (WorkflowStatus)row.GetInt16(5),
        row.GetInt32(6),
        row.GetInt32(7),
        row.GetInt16(8),
        row.IsDBNull(9) ? null : row.GetGuid(9),
        row.GetTime(10),
        row.IsDBNull(11) ? null : row.GetTime(11),
        row.IsDBNull(12) ? null : row.GetString(12),
        !row.IsDBNull(13) && row.GetBoolean(13),
        row.GetInt64(14),
        row.GetInt32(15),
        row.GetString(16),
        (RunFlags)row.GetInt16(17),
        row.IsDBNull(18) ? null : row.GetTime(18));
}

/// <summary>What the engine must know of a run beside its status. Stored as smallint; a silo that meets one which it does not know leaves
/// the run to one that does.</summary>
[Flags]
internal enum RunFlags : short
{
    None = 0,

    /// <summary>Its timers and letters are parked: nobody is to wake it, and whoever has it brings them back first.</summary>
    Parked = 1,
}

/// <summary>A run with its history and letters, read in the transaction that claimed it, or without a claim to look at it.</summary>
internal sealed record LoadedRun(StoredRun Row, List<JournalRow> History, List<LetterRow> Letters)
{
    private LoadBudget? _budget;
    private long _bytes;

    /// <summary>Its history takes memory from here on until it is replayed.</summary>
    public LoadedRun Counted(LoadBudget budget)
    {
        if (_budget is null)
        {
            (_budget, _bytes) = (budget, History.Sum(row => (long)row.Payload.Size));
            budget.Take(_bytes);
        }

        return this;
    }

    /// <summary>The first call counts.</summary>
    public void Replayed() => _budget?.Release(Interlocked.Exchange(ref _bytes, 0));
}

internal static class RowReading
{
    public static JournalRow JournalRow(NpgsqlDataReader row) =>
        new((JournalKind)row.GetInt16(5), row.GetInt32(4), row.GetString(7), Payload(row, 9))
        {
            At = row.GetTime(1),
            DueAt = row.IsDBNull(2) ? null : row.GetTime(2),
            Position = row.GetInt32(3),
            Messages = row.GetInt32(6),
            MessageId = row.IsDBNull(8) ? null : row.GetString(8),
        };

    /// <summary>In UTC, also where the host has told Npgsql to give out local times
    /// (<c>Npgsql.EnableLegacyTimestampBehavior</c>).</summary>
    public static DateTimeOffset GetTime(this DbDataReader row, int column) => row.GetFieldValue<DateTimeOffset>(column).ToUniversalTime();

    /// <summary>The columns payload and bytes, of which at most one is not null.</summary>
    public static Payload Payload(NpgsqlDataReader row, int column) =>
        !row.IsDBNull(column) ? new Payload(row.GetFieldValue<byte[]>(column))
        : !row.IsDBNull(column + 1) ? new Payload(row.GetFieldValue<byte[]>(column + 1), Encoded: true)
        : default;
}
