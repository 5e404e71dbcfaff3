using Microsoft.Extensions.Logging;

namespace Actors.Outbox;

internal sealed partial class DestinationRelay
{
    [LoggerMessage(5011, LogLevel.Warning, "Outbox destination {Destination}: a statement failed; again in {BackOff}.")]
    private static partial void LogStatementFailed(ILogger logger, string destination, TimeSpan backOff, Exception error);

    [LoggerMessage(5012, LogLevel.Warning,
        "Outbox destination {Destination}: what was acknowledged last could not be deleted and will be delivered again.")]
    private static partial void LogLastWriteFailed(ILogger logger, string destination, Exception error);

    [LoggerMessage(5013, LogLevel.Information,
        "Outbox destination {Destination}: message {Id} failed at attempt {Attempt}; again in {BackOff}.")]
    private static partial void LogAttemptFailed(
        ILogger logger, string destination, string id, int attempt, TimeSpan backOff, Exception error);

    [LoggerMessage(5014, LogLevel.Error, "Outbox destination {Destination}: message {Id} is a dead letter after attempt {Attempt}.")]
    private static partial void LogDeadLetter(ILogger logger, string destination, string id, int attempt, Exception error);
}
