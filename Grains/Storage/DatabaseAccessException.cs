using Npgsql;

namespace Actors.Storage;

/// <summary>Postgres does not let this silo in, or cannot be reached. The message says which server, database and user, and what to do; never a password.</summary>
public sealed class DatabaseAccessException : ActorsException
{
    private DatabaseAccessException(string message, bool isTransient, Exception inner)
        : base(message, inner) => IsTransient = isTransient;

    /// <summary>True when the server may come by itself: it starts, restarts or fails over. False when people must mend something.</summary>
    public override bool IsTransient { get; }

    /// <summary>What an error met while connecting or migrating means for whoever runs the silo; null when it is about something else.</summary>
    internal static DatabaseAccessException? Of(Exception error, string connectionString)
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString);
        var (server, database, user) = ($"{settings.Host}:{settings.Port}", settings.Database ?? settings.Username, settings.Username);
        return error switch
        {
            MigrationFailedException { InnerException: { } inner } => Of(inner, connectionString),
            PostgresException { SqlState: ['2', '8', ..] } => Refused(
                $"Postgres at {server} refuses user '{user}' ({error.Message}): correct user and password in the connection string, or pg_hba.conf at the server."),
            PostgresException { SqlState: PostgresErrorCodes.InvalidCatalogName } => Refused(
                $"There is no database '{database}' at {server}: create it, or correct the connection string."),
            PostgresException { SqlState: PostgresErrorCodes.InsufficientPrivilege } => Refused(
                $"User '{user}' lacks a right in database '{database}' at {server} ({error.Message}): grant it. Migrating needs CREATE on the database, "
                + "or on a schema 'actors' made beforehand; a silo needs USAGE on that schema and all rights on what is in it."),
            // Npgsql gave up by itself: no password, no TLS. A server that is away shows as the failure of a socket.
            NpgsqlException { InnerException: null } and not PostgresException => Refused(
                $"No connection to Postgres at {server} as user '{user}': {error.Message}. Correct the connection string."),
            _ when PostgresFaults.IsUnreachable(error) => new DatabaseAccessException(
                $"Postgres at {server} cannot be reached ({error.Message}): start it, or correct the connection string.", isTransient: true, error),
            _ => null,
        };

        DatabaseAccessException Refused(string message) => new(message, isTransient: false, error);
    }
}
