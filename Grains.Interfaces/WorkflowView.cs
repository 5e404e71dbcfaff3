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
}

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
