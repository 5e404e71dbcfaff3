namespace Actors.Postgres;

/// <summary>Which Postgres is wanted, and where an embedded one lives.</summary>
/// <param name="RootFolder">The embedded server's files go to <c>.actors/</c> under this folder.</param>
public sealed record PostgresSettings(string RootFolder)
{
    /// <summary>The oldest major version that is supported.</summary>
    public const int OldestMajor = 15;

    /// <summary>A server that stands already: it is used as it is, and nothing is started. Default: none.</summary>
    public string? ConnectionString { get; init; }

    /// <summary>The major version wanted, 15 or later. Default: the first that is found.</summary>
    public int? Major { get; init; }

    /// <summary>Servers of different names under one folder share nothing but the downloaded binaries. Default <c>postgres</c>.</summary>
    public string Name { get; init; } = "postgres";

    /// <summary>False: commits do not wait for the disk, and are lost with the machine. For tests alone.</summary>
    internal bool OutlivesMachine { get; init; } = true;

    /// <summary>Settings as <c>ACTORS_POSTGRES</c> (a connection string) and <c>ACTORS_POSTGRES_VERSION</c> (15 or later, or
    /// <c>all</c>, which only tests tell from unset) say.</summary>
    /// <exception cref="ArgumentException">The version is neither.</exception>
    public static PostgresSettings FromEnvironment(string rootFolder) => new(rootFolder)
    {
        ConnectionString = Environment.GetEnvironmentVariable("ACTORS_POSTGRES") is { Length: > 0 } given ? given : null,
        Major = ParseMajor(Environment.GetEnvironmentVariable("ACTORS_POSTGRES_VERSION")),
    };

    internal static int? ParseMajor(string? text) => text switch
    {
        null or "" or "all" => null,
        _ when int.TryParse(text, out var major) && major >= OldestMajor => major,
        _ => throw new ArgumentException($"ACTORS_POSTGRES_VERSION is '{text}': set a major version from {OldestMajor} on, or 'all'."),
    };
}

/// <summary>A server that accepts connections.</summary>
/// <param name="ConnectionString">Of an existing database; of an embedded server it holds the password.</param>
/// <param name="Folder">The embedded server's folder; null for a server that was given.</param>
/// <param name="Adopted">True when it ran already, so another process may have a say in when it stops.</param>
public sealed record PostgresServer(string ConnectionString, string? Folder, bool Adopted);
