using System.Data.Common;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Actors;

/// <summary>Waits for a server or silos that are not there yet, and says so once; ends the start with what people must mend.</summary>
internal sealed partial class RetryUntilStopped(NpgsqlConnectionStringBuilder settings, ILogger<RetryUntilStopped> log)
    : IClientConnectionRetryFilter
{
    private bool _said;

    public async Task<bool> ShouldRetryConnectionAttempt(Exception exception, CancellationToken cancellationToken)
    {
        var reason = exception.Message;
        for (var error = exception; error is not null; error = error.InnerException)
        {
            if (DatabaseAccessException.Refusal(
                error, $"{settings.Host}:{settings.Port}", settings.Database ?? settings.Username, settings.Username) is { } refusal)
            {
                throw refusal;
            }

            reason = error is DbException ? error.Message : reason; // What Postgres says, not what Orleans says around it.
        }

        if (!_said)
        {
            LogWaiting(reason);
            _said = true;
        }

        await Task.Delay(TimeSpan.FromMilliseconds(500), cancellationToken);
        return !cancellationToken.IsCancellationRequested;
    }

    [LoggerMessage(641, LogLevel.Warning, "No connection to the silos yet, the start waits: {Reason}")]
    private partial void LogWaiting(string reason);
}
