namespace Actors.Postgres;

/// <summary>
/// A Postgres without an installation: found or fetched, started on a free port of the loopback address with a password of its own,
/// fsync on, under <c>.actors/</c>. It outlives the process that started it, whatever ends that one, until <see cref="StopAsync"/>.
/// </summary>
public static class EmbeddedPostgres
{
    /// <summary>
    /// When this returns, the server accepts connections and the database exists. Processes that ask at the same time get the same
    /// server: one starts it, the others adopt it. A connection string in the settings wins and starts nothing.
    /// </summary>
    /// <param name="say">Gets a line for the user where something is fetched, or put where nobody would look for it.</param>
    /// <exception cref="PostgresMissingException">No Postgres of the version wanted is installed, and npm cannot fetch it.</exception>
    /// <exception cref="InvalidOperationException">The server does not start; the message holds the end of its log.</exception>
    public static async Task<PostgresServer> StartAsync(
        PostgresSettings settings, Action<string>? say = null, CancellationToken cancellation = default)
    {
        if (settings.ConnectionString is { } given)
        {
            return new(given, Folder: null, Adopted: true);
        }
        say ??= _ => { };
        var home = await PostgresHome.ChooseAsync(settings.RootFolder, say, cancellation);
        var binaries = await FindAsync(home, settings.Major, say, cancellation);
        var cluster = new PostgresCluster(Path.Combine(home.Folder, $"{settings.Name}-{binaries.Major}"), home.User);
        using var alone = await cluster.LockAsync(cancellation);
        var adopted = await cluster.TryAdoptAsync(cancellation);
        if (!adopted)
        {
            await cluster.InitializeAsync(binaries, cancellation);
            await cluster.StartAsync(binaries, settings.OutlivesMachine, cancellation);
        }
        return new(await cluster.CreateDatabaseAsync(cancellation), cluster.Folder, adopted);
    }

    /// <summary>No server of this name (and major version, where one is set) runs when this returns, whoever started it. Open
    /// connections are ended; what is committed stays for the next start.</summary>
    /// <returns>The folders of the servers that were stopped.</returns>
    public static async Task<IReadOnlyList<string>> StopAsync(PostgresSettings settings, CancellationToken cancellation = default)
    {
        if (!Directory.Exists(Path.Combine(settings.RootFolder, ".actors")))
        {
            return [];
        }
        var home = await PostgresHome.ChooseAsync(settings.RootFolder, _ => { }, cancellation, create: false);
        if (!Directory.Exists(home.Folder))
        {
            return [];
        }
        var stopped = new List<string>();
        foreach (var folder in Directory.EnumerateDirectories(home.Folder, $"{settings.Name}-{settings.Major?.ToString() ?? "*"}"))
        {
            if (!int.TryParse(Path.GetFileName(folder)[(settings.Name.Length + 1)..], out _))
            {
                continue;       // a server whose name begins with this one's
            }
            var cluster = new PostgresCluster(folder, home.User);
            using var alone = await cluster.LockAsync(cancellation);
            if (await cluster.StopAsync(cancellation))
            {
                stopped.Add(folder);
            }
        }
        return stopped;
    }

    /// <summary>One process at a time: it may fetch them.</summary>
    private static async Task<PostgresBinaries> FindAsync(PostgresHome home, int? major, Action<string> say, CancellationToken cancellation)
    {
        using var alone = await FileLock.TakeAsync(home.LockFile, cancellation);
        return await PostgresSource.OfThisMachine(home.Folder).FindAsync(major, say, cancellation);
    }
}
