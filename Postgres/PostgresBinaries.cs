using System.ComponentModel;
using System.Text.RegularExpressions;

namespace Actors.Postgres;

/// <summary>A folder that holds initdb, pg_ctl and postgres of one version, and can run here.</summary>
internal sealed partial record PostgresBinaries(string Folder, int Major)
{
    internal string Initdb => Tool(Folder, "initdb");
    internal string PgCtl => Tool(Folder, "pg_ctl");

    /// <summary>Null when the folder lacks one of the three programs, or postgres does not run on this machine.</summary>
    internal static async Task<PostgresBinaries?> TryReadAsync(string folder, CancellationToken cancellation)
    {
        // A link on PATH leads to the folder where the three stand together.
        var server = new FileInfo(Tool(folder, "pg_ctl"));
        var real = server.Exists ? (server.ResolveLinkTarget(returnFinalTarget: true) ?? server).FullName : server.FullName;
        folder = Path.GetDirectoryName(real)!;
        if (!new[] { "initdb", "pg_ctl", "postgres" }.All(tool => File.Exists(Tool(folder, tool))))
        {
            return null;
        }
        try
        {
            var version = await ChildProcess.RunAsync(Tool(folder, "postgres"), ["--version"], folder, null, cancellation);
            return VersionPattern().Match(version.Output) is { Success: true } match
                ? new(folder, int.Parse(match.Groups[1].ValueSpan))
                : null;
        }
        catch (Win32Exception)
        {
            return null;
        }
    }

    private static string Tool(string folder, string name) => Path.Combine(folder, OperatingSystem.IsWindows() ? name + ".exe" : name);

    [GeneratedRegex(@"\(PostgreSQL\) (\d+)")]
    private static partial Regex VersionPattern();
}
