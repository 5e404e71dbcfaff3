using Actors.Wire;

namespace Actors.Storage;

/// <summary>What a journal row records. Stored as smallint: numbers are never reused.</summary>
internal enum JournalKind : short
{
    Started = 0,
    StepCompleted = 1,
    StepFailed = 2,

    /// <summary>One attempt failed and another follows at the row's due time. Not told to the code.</summary>
    AttemptFailed = 3,
    TransactionCompleted = 4,
    TransactionFailed = 5,
    TimerSet = 6,
    TimerFired = 7,
    Signal = 8,
    Topic = 9,
    Published = 10,
    Completed = 11,
    Failed = 12,

    /// <summary>The engine stopped here, for people to mend; replay passes over it.</summary>
    SetAside = 13,

    /// <summary>A message that stood there before the code began, from SQL, which does not know whether its name is a signal's or a
    /// topic.</summary>
    Letter = 14,

    /// <summary>The code could not read the message at the position that the payload names: it went on without it, and replay does
    /// too.</summary>
    Refused = 15,

    /// <summary>The letter at the position that the payload names was a topic's message to the code that got it first, and stays one under
    /// whatever code comes later.</summary>
    LetterOfTopic = 16,

    /// <summary>Reserved: a silo claimed the run. Replay passes over it.</summary>
    Claimed = 17,

    /// <summary>Somebody resumed the run after it was set aside; replay passes over it.</summary>
    Resumed = 18,
}

internal static class JournalKinds
{
    /// <summary>A history with a later kind is another build's: this one leaves it to that.</summary>
    public const JournalKind Last = JournalKind.Resumed;

    /// <summary>True for what happened to the run and not in its code.</summary>
    public static bool IsAboutTheRun(this JournalKind kind) =>
        kind is JournalKind.SetAside or JournalKind.Claimed or JournalKind.Resumed;
}

/// <summary>One row of the journal. <see cref="Position"/> and <see cref="At"/> are known after the commit.</summary>
internal sealed record JournalRow(JournalKind Kind, int Seq, string Name, Payload Payload)
{
    public string? MessageId { get; init; }

    public DateTimeOffset? DueAt { get; init; }

    /// <summary>How long the attempt took whose outcome this is.</summary>
    public int? TookMilliseconds { get; init; }

    public int Messages { get; set; }

    public int Position { get; set; }

    public DateTimeOffset At { get; set; }
}

/// <summary>One row for the outbox: a message and one of its destinations.</summary>
internal readonly record struct OutgoingRow(int Ordinal, string Destination, string Topic, string Key, Payload Payload);

/// <summary>One letter of the inbox. An empty name is no signal but a reason to look.</summary>
internal sealed record LetterRow(string MessageId, string Name, Payload Payload);
