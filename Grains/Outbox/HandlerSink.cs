namespace Actors;

/// <summary>Delivers to a delegate in the silo's process. The message counts as delivered when the delegate's task completes.</summary>
/// <param name="handle">Thread-safe; called again with the same id after a failure or crash.</param>
public sealed class HandlerSink(Func<OutboxMessage, CancellationToken, Task> handle) : OneByOneSink
{
    /// <inheritdoc/>
    public override Task DeliverAsync(OutboxMessage message, CancellationToken cancellation) => handle(message, cancellation);
}
