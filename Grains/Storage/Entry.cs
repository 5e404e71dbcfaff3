namespace Actors.Storage;

/// <summary>What one run commits at once: all of it in one transaction, if epoch, owner and position still match, or nothing.</summary>
internal sealed class Entry
{
    public required long Instance { get; init; }

    public required int Epoch { get; set; }

    /// <summary>The position that the database must hold for this entry to commit.</summary>
    public required int Position { get; init; }

    public List<JournalRow> Rows { get; } = [];

    public List<OutgoingRow> Outbox { get; } = [];

    public IReadOnlyList<int> ClearedTimers { get; set; } = [];

    public IReadOnlyList<string> ClearedMail { get; set; } = [];

    /// <summary>Mail that the run cannot read.</summary>
    public IReadOnlyList<string> RefusedMail { get; set; } = [];

    public WorkflowStatus Status { get; set; } = WorkflowStatus.Running;

    /// <summary>True when the run is in no silo's memory after this commit.</summary>
    public bool Leaves { get; set; }

    /// <summary>True when another silo is to take the run after this commit.</summary>
    public bool WakesOthers { get; set; }

    /// <summary>The latest due time of the timers that fire here: the database refuses the entry before it.</summary>
    public DateTimeOffset? NotBefore { get; set; }

    /// <summary>Bytes of payload, for the limits of entry and group.</summary>
    public int Size { get; set; }

    public int Next => Position + Rows.Count;

    /// <summary>True for what most entries are: one row that sets no timer, at most one message, and nothing else.</summary>
    public bool IsOrdinary => Rows.Count == 1 && Outbox.Count <= 1 && Rows[0].DueAt is null && !WakesOthers
        && ClearedTimers.Count + ClearedMail.Count + RefusedMail.Count == 0;

    public bool Ends => Status is WorkflowStatus.Completed or WorkflowStatus.Failed;
}

/// <summary>A new run, owned by the silo that makes it.</summary>
internal sealed record Start(WorkflowId Id, string Type, long Instance, Guid Run, Wire.Payload Input)
{
    /// <summary>The ended run that gives up the id to this one.</summary>
    public long? Retires { get; init; }
}

internal enum CommitOutcome
{
    Committed,

    /// <summary>Another owner has the run, or the id was taken: nothing was written, and this owner must not write again.</summary>
    Fenced,

    /// <summary>A timer is not due by the database's clock: nothing was written.</summary>
    Early,

    /// <summary>The run cannot end, there is unread mail: nothing was written.</summary>
    Mail,

    /// <summary>The database refuses this entry whatever we do: nothing was written.</summary>
    Rejected,
}

/// <param name="At">Committed: the time of the rows. Early: the database's time.</param>
/// <param name="Epoch">The owner's epoch from now on.</param>
internal readonly record struct CommitReply(CommitOutcome Outcome, DateTimeOffset At, int Epoch, Exception? Error = null);
