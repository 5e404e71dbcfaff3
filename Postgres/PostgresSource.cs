namespace Actors.Postgres;

/// <summary>Finds the programs of a Postgres: on PATH, in the usual folders, else the npm package.</summary>
/// <param name="cacheFolder">Where the npm package is kept.</param>
/// <param name="path">PATH: where programs are looked for, npm included.</param>
/// <param name="usualFolders">Where installers put Postgres; a * stands for any version, the latest first.</param>
internal sealed class PostgresSource(string cacheFolder, string path, IEnumerable<string> usualFolders)
{
    internal static PostgresSource OfThisMachine(string cacheFolder) =>
        new(cacheFolder, Environment.GetEnvironmentVariable("PATH") ?? "", UsualFolders());

    /// <summary>The first of the major version wanted, or the first that is supported.</summary>
    /// <exception cref="PostgresMissingException">There is none, and npm cannot fetch it.</exception>
    internal async Task<PostgresBinaries> FindAsync(int? major, Action<string> say, CancellationToken cancellation)
    {
        var folders = path.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries).Concat(usualFolders.SelectMany(Expand));
        foreach (var folder in folders)
        {
            var found = await PostgresBinaries.TryReadAsync(folder, cancellation);
            if (found is not null && (major is null ? found.Major >= PostgresSettings.OldestMajor : found.Major == major))
            {
                return found;
            }
        }
        return await new PostgresPackage(cacheFolder, path).GetAsync(major, say, cancellation);
    }

    private static IEnumerable<string> UsualFolders()
    {
        if (OperatingSystem.IsWindows())
        {
            return [Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.ProgramFiles), "PostgreSQL", "*", "bin")];
        }
        return OperatingSystem.IsMacOS()
            ? ["/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
                "/Applications/Postgres.app/Contents/Versions/*/bin"]
            : ["/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin"];
    }

    private static IEnumerable<string> Expand(string pattern)
    {
        var star = pattern.IndexOf('*', StringComparison.Ordinal);
        if (star < 0)
        {
            return [pattern];
        }
        var level = Path.GetDirectoryName(pattern[..(star + 1)])!;
        var tail = pattern[(star + 1)..].TrimStart(Path.DirectorySeparatorChar);
        return Directory.Exists(level)
            ? Directory.EnumerateDirectories(level, Path.GetFileName(pattern[..(star + 1)]))
                .OrderByDescending(folder => folder.Length).ThenByDescending(folder => folder, StringComparer.Ordinal)
                .Select(folder => Path.Combine(folder, tail))
            : [];
    }
}
