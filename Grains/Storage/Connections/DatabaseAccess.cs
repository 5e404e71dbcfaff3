using Npgsql;

namespace Actors.Storage;

internal static class DatabaseAccess
{
    /// <summary>What an error met while connecting or migrating means for whoever runs the silo; null when it is about something
    /// else.</summary>
    internal static DatabaseAccessException? Problem(Exception error, string connectionString)
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString);
        var server = $"{settings.Host}:{settings.Port}";
        return error is MigrationFailedException { InnerException: { } inner } ? Problem(inner, connectionString)
            : DatabaseAccessException.Refusal(error, server, settings.Database ?? settings.Username, settings.Username) ?? error switch
            {
                PostgresException { SqlState: PostgresErrorCodes.TooManyConnections } full => Transient(
                    $"Postgres at {server} has no connection left for user '{settings.Username}' in database '{settings.Database}' "
                    + $"({full.MessageText}): raise the limit of the role, the database or the server (max_connections), or end what holds "
                        + $"them."),
                PostgresException { SqlState: PostgresErrorCodes.ReadOnlySqlTransaction } => Transient(
                    $"Postgres at {server} takes no writes of user '{settings.Username}' in database '{settings.Database}' "
                        + $"({error.Message}): "
                    + "it is a standby that is not promoted, or default_transaction_read_only is on for the server, the database, the role "
                        + "or "
                    + "in the connection string."),
                _ when PostgresFaults.IsUnreachable(error) => Transient(
                    $"Postgres at {server} cannot be reached ({error.Message}): start it, or correct the connection string."),
                _ => null,
            };

        DatabaseAccessException Transient(string message) => new(message, isTransient: true, error);
    }
}
