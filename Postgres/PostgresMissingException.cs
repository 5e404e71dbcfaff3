using System.Runtime.InteropServices;

namespace Actors.Postgres;

/// <summary>No Postgres was given, installed or to be had through npm. The message names these three ways out.</summary>
public sealed class PostgresMissingException : Exception
{
    internal PostgresMissingException(int? major, string npm, Exception? inner = null)
        : base($"""
            No PostgreSQL {major?.ToString() ?? $"{PostgresSettings.OldestMajor} or later"} was found. Any one of these helps:
              1. Set ACTORS_POSTGRES to the connection string of a server: Host=…;Database=…;Username=…;Password=…
              2. Install PostgreSQL, so that initdb, pg_ctl and postgres are on PATH or in the usual folder ({Install()}).
              3. Install npm, which fetches PostgreSQL as the package {PostgresPackage.Name} ({npm}).
            """, inner)
    {
    }

    private static string Install() =>
        RuntimeInformation.IsOSPlatform(OSPlatform.Windows) ? "winget install PostgreSQL.PostgreSQL.18"
        : RuntimeInformation.IsOSPlatform(OSPlatform.OSX) ? "brew install postgresql@18"
        : "Debian, Ubuntu: apt-get install postgresql";
}
