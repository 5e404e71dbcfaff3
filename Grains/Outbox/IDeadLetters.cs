namespace Actors;

/// <summary>Messages that were given up: the relay passes over them until somebody drives them again. From the host's services, in a
/// silo.</summary>
public interface IDeadLetters
{
    /// <summary>A page of a destination's dead letters, oldest first.</summary>
    /// <param name="destination">As it is named in <c>Outbox.Add</c>. One without dead letters, or that nobody knows, has an empty
    /// page.</param>
    /// <param name="after"><see cref="DeadLetter.Id"/> of the last one before; 0: from the beginning.</param>
    /// <param name="most">1 to 1,000. Default 100.</param>
    Task<IReadOnlyList<DeadLetter>> ListAsync(string destination, long after = 0, int most = 100, CancellationToken cancellation = default);

    /// <summary>Moves all dead letters of a destination back, in order and with all their attempts before them; returns how many. Each goes
    /// behind what its lane holds now. A thousand a commit: after an error those before it have moved. In SQL:
    /// <c>actors.redrive</c>.</summary>
    Task<int> RedriveAsync(string destination, CancellationToken cancellation = default);
}

/// <summary>A message that was given up.</summary>
/// <param name="Id">Grows with the order in which messages were written; the key of pages.</param>
/// <param name="MessageId">By which its receiver knows it: <c>run:ordinal</c>.</param>
/// <param name="Workflow">Whose message it is.</param>
/// <param name="At">When it was committed.</param>
/// <param name="DiedAt">When it was given up.</param>
/// <param name="Attempts">Until then.</param>
/// <param name="Reason">The last error, shortened.</param>
public sealed record DeadLetter(
    long Id, string MessageId, string Topic, string Key, WorkflowId Workflow, DateTimeOffset At, DateTimeOffset DiedAt, int Attempts,
    string Reason);
