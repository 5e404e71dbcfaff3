namespace Actors;

/// <summary>Where the outbox relay delivers the messages of one destination.</summary>
/// <remarks>
/// A message arrives at least once, every time with the same <see cref="OutboxMessage.Id"/>. A call's messages are what waits at the
/// moment, those of one lane (one key; without a key one run) in the order of their commits. The next message of a lane comes only after
/// the call with the one before it returned. Calls for other lanes, and for other destinations where one sink is given to several, run
/// beside it: an implementation is thread-safe. A call must not block before it returns its task: no time-out reaches that. A sink for one
/// message at a time derives from <see cref="OneByOneSink"/>.
/// </remarks>
public interface IOutboxSink
{
    /// <summary>Most messages of one call. Read once, at the start.</summary>
    /// <value>1 to 1,000.</value>
    int BatchSizeMax { get; }

    /// <summary>
    /// Returns when the other side has taken the messages, or said that it does not: an outcome for each, in their order. Behind a message
    /// that failed those of its lane wait, and are delivered after it, whatever their own outcomes say. Throwing is a failed attempt of
    /// the first message of each lane; those lanes come alone from then on, until their message is delivered.
    /// </summary>
    /// <param name="messages">1 to <see cref="BatchSizeMax"/>.</param>
    /// <param name="cancellation">Cancelled after <see cref="OutboxOptions.DeliveryTimeout"/> and when the relay stops.</param>
    /// <exception cref="OutboxDeliveryException">To say when to try again, or that trying again is useless; as an outcome's error
    /// likewise.</exception>
    Task<IReadOnlyList<DeliveryOutcome>> DeliverAsync(IReadOnlyList<OutboxMessage> messages, CancellationToken cancellation);
}

/// <summary>What became of one message in a call of <see cref="IOutboxSink"/>.</summary>
public readonly record struct DeliveryOutcome
{
    /// <summary>The other side has taken it.</summary>
    public static DeliveryOutcome Delivered => default;

    /// <summary>Null where it was delivered.</summary>
    public Exception? Error { get; private init; }

    /// <summary>The attempt failed; the message is tried again after its back-off, or becomes a dead letter.</summary>
    /// <param name="error">Its type and message stand in the log and in the dead letter; an <see cref="OutboxDeliveryException"/> says
    /// more.</param>
    public static DeliveryOutcome Failed(Exception error)
    {
        ArgumentNullException.ThrowIfNull(error);
        return new() { Error = error };
    }
}

/// <summary>A sink that is given one message a call.</summary>
public abstract class OneByOneSink : IOutboxSink
{
    private static readonly DeliveryOutcome[] Delivered = [DeliveryOutcome.Delivered];

    int IOutboxSink.BatchSizeMax => 1;

    /// <summary>Returns when the other side has taken the message. Throwing is a failed attempt: the message and those behind it in its
    /// lane wait.</summary>
    /// <param name="message">At least once, every time with the same id.</param>
    /// <param name="cancellation">Cancelled after <see cref="OutboxOptions.DeliveryTimeout"/> and when the relay stops.</param>
    /// <exception cref="OutboxDeliveryException">To say when to try again, or that trying again is useless.</exception>
    public abstract Task DeliverAsync(OutboxMessage message, CancellationToken cancellation);

    async Task<IReadOnlyList<DeliveryOutcome>> IOutboxSink.DeliverAsync(
        IReadOnlyList<OutboxMessage> messages, CancellationToken cancellation)
    {
        await DeliverAsync(messages[0], cancellation);
        return Delivered;
    }
}
