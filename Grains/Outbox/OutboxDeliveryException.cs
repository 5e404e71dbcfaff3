namespace Actors;

/// <summary>What a sink throws to say more about a failed attempt. Its message becomes a dead letter's reason: never put a payload or a
/// secret into it.</summary>
/// <param name="message">What the other side answered.</param>
/// <param name="retryAfter">Not before this time from now, up to <see cref="OutboxOptions.BackOffMax"/>. Null: the usual back-off.</param>
/// <param name="isPermanent">True: the message becomes a dead letter at once.</param>
public sealed class OutboxDeliveryException(string message, TimeSpan? retryAfter = null, bool isPermanent = false, Exception? inner = null)
    : ActorsException(message, inner)
{
    /// <summary>The other side asked not to be tried before this time from now.</summary>
    public TimeSpan? RetryAfter { get; } = retryAfter;

    /// <summary>Trying again is useless.</summary>
    public bool IsPermanent { get; } = isPermanent;

    /// <inheritdoc/>
    public override bool IsTransient => !IsPermanent;
}
