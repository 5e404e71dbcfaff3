using Actors.Storage;

namespace Actors.Outbox;

/// <summary>When a failed message is tried again, and what is written about the failure.</summary>
internal static class BackOff
{
    private const int ReasonLengthMax = 2_000;

    /// <summary>Between half and all of first × 2^(attempt-1), at most the cap; longer where the receiver asked for it, up to the
    /// cap.</summary>
    public static TimeSpan After(int attempt, Exception error, OutboxOptions options)
    {
        var full = Math.Min(options.BackOffFirst.TotalMilliseconds * Math.Pow(2, Math.Min(attempt - 1, 60)),
            options.BackOffMax.TotalMilliseconds);
        var delay = TimeSpan.FromMilliseconds(full * (0.5 + Random.Shared.NextDouble() / 2));
        var asked = (error as OutboxDeliveryException)?.RetryAfter ?? TimeSpan.Zero;
        return asked <= delay ? delay : asked < options.BackOffMax ? asked : options.BackOffMax;
    }

    /// <summary>Type and message, as text that Postgres can hold.</summary>
    public static string Reason(Exception error) =>
        StoredText.Shortened($"{error.GetType().FullName}: {ErrorText.MessageOf(error)}", ReasonLengthMax);
}
