using Npgsql;

namespace Actors.Storage;

internal static class DatabaseAccess
{
    /// <summary>What an error met while connecting or migrating means for whoever runs the silo; null when it is about something else.</summary>
    internal static DatabaseAccessException? Problem(Exception error, string connectionString)
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString);
        var server = $"{settings.Host}:{settings.Port}";
        return error is MigrationFailedException { InnerException: { } inner } ? Problem(inner, connectionString)
            : DatabaseAccessException.Refusal(error, server, settings.Database ?? settings.Username, settings.Username)
            ?? (PostgresFaults.IsUnreachable(error)
                ? new DatabaseAccessException($"Postgres at {server} cannot be reached ({error.Message}): start it, or correct the connection string.", isTransient: true, error)
                : null);
    }
}
