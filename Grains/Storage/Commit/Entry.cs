namespace Actors.Storage;

/// <summary>What one run commits at once: all of it in one transaction, if epoch, owner and position still match, or nothing.</summary>
internal sealed class Entry
{
    public required long Instance { get; init; }

    /// <summary>Instance of the id's first run: letters and the ids of messages hang on it.</summary>
    public required long Workflow { get; init; }

    public required int Epoch { get; set; }

    /// <summary>The position that the database must hold for this entry to commit.</summary>
    public required int Position { get; init; }

    public List<JournalRow> Rows { get; } = [];

    public List<OutgoingRow> Outbox { get; } = [];

    public IReadOnlyList<int> ClearedTimers { get; set; } = [];

    public IReadOnlyList<string> ClearedLetters { get; set; } = [];

    /// <summary>Letters that the run cannot read, and why.</summary>
    public IReadOnlyList<(string MessageId, string Reason)> RefusedLetters { get; set; } = [];

    /// <summary>Positions of messages in the journal that the code cannot read, and why: they come back to the inbox.</summary>
    public List<(int Position, string Reason)> Undelivered { get; } = [];

    public WorkflowStatus Status { get; set; } = WorkflowStatus.Running;

    /// <summary>True when the run is in no silo's memory after this commit.</summary>
    public bool Leaves { get; set; }

    /// <summary>True when another silo is to take the run after this commit.</summary>
    public bool WakesOthers { get; set; }

    /// <summary>What the run waits for where it leaves memory; null: nothing is noted.</summary>
    public WaitRow? Wait { get; set; }

    /// <summary>True when the database may hold what the run waited for before.</summary>
    public bool ClearsWait { get; set; }

    /// <summary>The latest due time of the timers that fire here: the database refuses the entry before it.</summary>
    public DateTimeOffset? NotBefore { get; set; }

    /// <summary>Bytes of payload, for the limits of entry and group.</summary>
    public int Size { get; set; }

    public int Next => Position + Rows.Count;

    /// <summary>True for what most entries are: one row that sets no timer, at most one message, and nothing else.</summary>
    public bool IsOrdinary =>
        Rows.Count == 1 && Outbox.Count <= 1 && Rows[0].DueAt is null && !WakesOthers && !Parks && Wait is null && !ClearsWait
        && ClearedTimers.Count + ClearedLetters.Count + RefusedLetters.Count + Undelivered.Count == 0;

    /// <summary>The rows of messages: their ids are remembered.</summary>
    public IReadOnlyList<JournalRow> MessageRows =>
        Rows.Exists(row => row.MessageId is not null) ? Rows.FindAll(row => row.MessageId is not null) : [];

    /// <summary>Timers that stand after it. One that fires, or is given up, in the entry that sets it is not set at all, and a retry may
    /// set its timer twice in one entry.</summary>
    public IReadOnlyList<(int Seq, DateTimeOffset Due)> SetTimers => Ends || !Rows.Exists(row => row.DueAt is not null) ? []
        : [.. Rows.Where(row => row.DueAt is not null && !ClearedTimers.Contains(row.Seq)).GroupBy(
            row => row.Seq, (seq, rows) => (seq, rows.Last().DueAt!.Value))];

    public bool Ends => Status is not (WorkflowStatus.Running or WorkflowStatus.SetAside or WorkflowStatus.Held or WorkflowStatus.NotBegun);

    /// <summary>True when nobody may wake the run after this commit: its timers and letters are parked.</summary>
    public bool Parks => Status == WorkflowStatus.SetAside || Wait is { Lacks: not null };
}

/// <summary>A new run, owned by the silo that makes it.</summary>
internal sealed record Start(WorkflowId Id, string Type, int Code, long Instance, Guid Run, Wire.Payload Input)
{
    /// <summary>The ended run that gives up the id to this one.</summary>
    public StoredRun? Retires { get; init; }

    /// <summary>A message that is told before the first line of the code.</summary>
    public JournalRow? First { get; init; }

    /// <summary>The id by which the caller repeats the start; null where the workflow's own id is enough.</summary>
    public string? RequestId { get; init; }

    /// <summary>How long after its commit it begins; null: at once, in the silo that makes it.</summary>
    public TimeSpan? Delay { get; init; }

    /// <summary>Instance of the id's first run.</summary>
    public long Workflow => Retires?.Workflow ?? Instance;

    /// <summary>Of the journal row that starts the code.</summary>
    public int Position => First is null ? 0 : 1;

    /// <summary>True for what most starts are: nothing comes with it, and nothing is remembered but the run.</summary>
    public bool IsOrdinary => First is null && RequestId is null && Delay is null;

    public int Size => Input.Size + (First?.Payload.Size ?? 0);

    /// <summary>The first rows of the journal, in order.</summary>
    public List<JournalRow> Rows(DateTimeOffset at = default)
    {
        var started = new JournalRow(JournalKind.Started, 0, Type, Input) { Position = Position, At = at };
        return First is { } first ? [first with { Position = 0, At = at }, started] : [started];
    }
}

/// <summary>What an id stands for. Stored as smallint: numbers are never reused.</summary>
internal enum MessageIdKind : short
{
    Message = 0,
    Start = 1,
    Resume = 2,
}

internal enum CommitOutcome
{
    Committed,

    /// <summary>Another owner has the run, or the id was taken: nothing was written, and this owner must not write again.</summary>
    Fenced,

    /// <summary>A timer is not due by the database's clock: nothing was written.</summary>
    Early,

    /// <summary>The run cannot end, there are unread letters: nothing was written.</summary>
    Letters,

    /// <summary>A start: its number is another run's, and another may pass. A body's transaction: the run stands where it did, and the same
    /// body may pass when it runs again; a conflict, a lost connection, an entry that was early. Nothing was written.</summary>
    Unmoved,

    /// <summary>The database refuses this whatever we do, or the body has made it fail: nothing was written.</summary>
    Rejected,
}

/// <param name="At">Committed: the time of the rows. Early: the database's time.</param>
/// <param name="Epoch">The owner's epoch from now on.</param>
internal readonly record struct CommitReply(CommitOutcome Outcome, DateTimeOffset At, int Epoch, Exception? Error = null);
