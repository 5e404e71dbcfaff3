using System.Data.Common;

namespace Actors;

/// <summary>Postgres does not let this program in, or cannot be reached. The message says which server, database and user, and what to do;
/// never a password.</summary>
public sealed class DatabaseAccessException : ActorsException
{
    internal DatabaseAccessException(string message, bool isTransient, Exception inner)
        : base(message, inner) => IsTransient = isTransient;

    /// <summary>True when the server may come by itself: it starts, restarts or fails over. False when people must mend
    /// something.</summary>
    public override bool IsTransient { get; }

    /// <summary>What people must mend, or null when the error is about something else.</summary>
    internal static DatabaseAccessException? Refusal(Exception error, string server, string? database, string? user)
    {
        return error switch
        {
            DbException { SqlState: ['2', '8', ..] } => Refused(
                $"Postgres at {server} refuses user '{user}' ({error.Message}): correct user and password in the connection string, or "
                    + $"pg_hba.conf at the server."),
            DbException { SqlState: "3D000" } => Refused(
                $"There is no database '{database}' at {server}: create it, or correct the connection string."),
            DbException { SqlState: "42501" } => Refused(
                $"User '{user}' lacks a right in database '{database}' at {server} ({error.Message}): grant it. Migrating needs CREATE on "
                    + $"the database, "
                + "or on a schema 'actors' made beforehand; a silo needs USAGE on that schema and all rights on what is in it."),
            // Npgsql gave up by itself: no password, no TLS. A server that is away shows as the failure of a socket.
            DbException { SqlState: null, InnerException: null } => Refused(
                $"No connection to Postgres at {server} as user '{user}': {error.Message}. Correct the connection string."),
            _ => null,
        };

        DatabaseAccessException Refused(string message) => new(message, isTransient: false, error);
    }
}
