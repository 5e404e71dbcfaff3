namespace Actors;

/// <summary>Where the outbox relay delivers the messages of one destination.</summary>
/// <remarks>
/// A message arrives at least once, every time with the same <see cref="OutboxMessage.Id"/>. The next message of the same run and key comes
/// only after this call returned. Calls for other keys run beside it: an implementation is thread-safe.
/// </remarks>
public interface IOutboxSink
{
    /// <summary>Returns when the other side has taken the message. Throwing is a failed attempt: the message and those behind it
    /// wait.</summary>
    /// <param name="cancellation">Cancelled after <see cref="OutboxOptions.DeliveryTimeout"/> and when the relay stops.</param>
    /// <exception cref="OutboxDeliveryException">To say when to try again, or that trying again is useless.</exception>
    Task DeliverAsync(OutboxMessage message, CancellationToken cancellation);
}
