using System.Security.Cryptography;
using System.Text;

namespace Actors.Postgres;

/// <summary>Where embedded servers keep their files, and as which user they run.</summary>
/// <param name="User">Null: as the current one. Postgres refuses root, so root gives it to another.</param>
internal sealed record PostgresHome(string Folder, string? User)
{
    internal string LockFile => Path.Combine(Folder, "postgres.lock");

    /// <summary>The folder exists and the server's user can reach it when this returns.</summary>
    /// <param name="create">False: a folder that is missing stays so, since no server can be there.</param>
    internal static async Task<PostgresHome> ChooseAsync(
        string rootFolder, Action<string> say, CancellationToken cancellation, bool create = true)
    {
        var folder = Path.Combine(Path.GetFullPath(rootFolder), ".actors");
        if (OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess)
        {
            Directory.CreateDirectory(folder);
            return new(folder, null);
        }
        var hasPostgres = File.ReadLines("/etc/passwd").Any(line => line.StartsWith("postgres:", StringComparison.Ordinal));
        var user = hasPostgres ? "postgres" : "nobody";
        Open(folder);
        if ((await ChildProcess.RunAsync("sh", ["-c", "cd \"$1\"", "sh", folder], "/", user, cancellation)).ExitCode == 0)
        {
            return new(folder, user);
        }
        var other = "/var/tmp/actors-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(folder)))[..12];
        if (!create && !Directory.Exists(other))
        {
            return new(other, user);
        }
        say($"User {user}, as whom Postgres runs when root starts it, cannot reach {folder}: its files are in {other}.");
        Open(other);
        // Anyone can make a folder of this name in /var/tmp first, and would own what root starts from it.
        var owned = await ChildProcess.RunAsync("find", [other, "-maxdepth", "0", "-type", "d", "-user", "0"], "/", null, cancellation);
        return owned.Output == other
            ? new(other, user)
            : throw new InvalidOperationException($"{other} belongs to another user than root: remove it and start again.");
    }

    private static void Open(string folder)
    {
        if (!Directory.Exists(folder) && !OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
            File.SetUnixFileMode(folder, (UnixFileMode)0b111_101_101);      // whatever root's umask says
        }
    }
}
