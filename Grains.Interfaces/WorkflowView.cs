namespace Actors;

/// <summary>Where a run stands. The numbers are those of the column <c>status</c>.</summary>
public enum WorkflowStatus
{
    /// <summary>Not ended: working, or waiting for a signal or timer.</summary>
    Running = 0,

    /// <summary>Ended with a result.</summary>
    Completed = 1,

    /// <summary>Ended with an error.</summary>
    Failed = 2,

    /// <summary>Neither ended nor going on: the engine met something that only people can mend
    /// (<see cref="WorkflowView.Problem"/>).</summary>
    SetAside = 3,

    /// <summary>Ended because it was cancelled.</summary>
    Cancelled = 4,

    /// <summary>Ended by force, whatever its code would have done.</summary>
    Terminated = 5,

    /// <summary>Ended because its time was up.</summary>
    TimedOut = 6,

    /// <summary>Ended, and a further run of the id goes on for it.</summary>
    Continued = 7,

    /// <summary>Neither ended nor going on: people hold it.</summary>
    Held = 8,

    /// <summary>Started with a delay that is not over.</summary>
    NotBegun = 9,
}

/// <summary>What a run waits for. Numbers are never reused.</summary>
public enum WaitingFor
{
    /// <summary>A condition of WaitUntil.</summary>
    Condition = 0,

    /// <summary>A message of a topic.</summary>
    Message = 1,

    /// <summary>The end of a sleep.</summary>
    Sleep = 2,

    /// <summary>The next attempt of a step or transaction.</summary>
    Attempt = 3,

    /// <summary>A silo of a later build: its history holds a kind of row that the silos here do not know.</summary>
    LaterBuild = 4,

    /// <summary>A silo of a later build: it began under semantics that the silos here do not know.</summary>
    LaterSemantics = 5,

    /// <summary>The body of a step or transaction that runs now.</summary>
    Body = 6,

    /// <summary>A silo that has its workflow type, or the version of it.</summary>
    Version = 7,

    /// <summary>The time at which it begins.</summary>
    Begin = 8,

    /// <summary>People, who mend what set it aside, and resume it.</summary>
    People = 9,
}

/// <summary>What a run waits for: of several things the one that comes by itself first.</summary>
/// <param name="Name">Of the wait (the text of its condition, or the given name), topic, step or version.</param>
/// <param name="Until">When it goes on by itself; null: it does not.</param>
/// <param name="Others">How many more things it waits for.</param>
/// <param name="Sentence">The same in words.</param>
[GenerateSerializer, Immutable, Alias("actors.WorkflowWait")]
public sealed record WorkflowWait(
    [property: Id(0)] WaitingFor For, [property: Id(1)] string Name, [property: Id(2)] DateTimeOffset? Until, [property: Id(3)] int Others,
    [property: Id(4)] string Sentence);

/// <summary>A run as one read of the database found it.</summary>
/// <param name="Position">Number of the last committed journal row; 0 is the start.</param>
/// <param name="Epoch">Number of times that a silo claimed the run.</param>
/// <param name="Owner">Id of the silo in whose memory it is, or null.</param>
/// <param name="Problem">Why it was set aside or failed, or a blocked turn in the silo that answered; else null.</param>
public sealed record WorkflowView(
    WorkflowId Id,
    Guid Run,
    string Type,
    WorkflowStatus Status,
    int Position,
    int Epoch,
    Guid? Owner,
    DateTimeOffset CreatedAt,
    DateTimeOffset? EndedAt,
    string? Problem)
{
    /// <summary>The first hundred of the messages that were sent to the run and not delivered, the oldest first.</summary>
    public IReadOnlyList<UndeliveredMessage> Undelivered { get; init; } = [];

    /// <summary>What it waits for; null when it has ended, or works.</summary>
    public WorkflowWait? Waits { get; init; }
}

/// <summary>A message that is kept for people: its run had ended, or its code could not read it. The run goes on without it.</summary>
/// <param name="MessageId">The id that its sender gave.</param>
/// <param name="Name">Of the signal, or the topic.</param>
/// <param name="At">When it was sent.</param>
/// <param name="Reason">Why it was not delivered; never a payload.</param>
[GenerateSerializer, Immutable, Alias("actors.UndeliveredMessage")]
public sealed record UndeliveredMessage(
    [property: Id(0)] string MessageId, [property: Id(1)] string Name, [property: Id(2)] DateTimeOffset At,
    [property: Id(3)] string Reason);
