using System.Data.Common;

namespace Actors.Calling;

/// <summary>A connection string as an application gives it.</summary>
internal static class ConnectionText
{
    /// <exception cref="ArgumentException">It is missing, or names no server.</exception>
    public static string Checked(string? connectionString)
    {
        if (string.IsNullOrWhiteSpace(connectionString))
        {
            throw new ArgumentException(
                "The connection string is empty (does the configuration lack it?): give Host=…;Database=…;Username=…;Password=… of the "
                    + "workflows' database.", nameof(connectionString));
        }

        var parts = new DbConnectionStringBuilder { ConnectionString = connectionString };
        return parts.ContainsKey("Host") || parts.ContainsKey("Server") ? connectionString
            : throw new ArgumentException("The connection string names no server: add Host=….", nameof(connectionString));
    }
}
