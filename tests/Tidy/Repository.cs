using System.Diagnostics;
using Actors.Support;

namespace Actors.Tidy;

/// <summary>The tracked files of this clone.</summary>
internal static class Repository
{
    private static readonly Lazy<string[]> Tracked = new(
        () => Run("git", "ls-files", "-co", "--exclude-standard").Split('\n', StringSplitOptions.RemoveEmptyEntries));

    public static string Folder => TestPostgres.RepositoryFolder;

    public static IEnumerable<string> Files(string extension, params string[] folders) => Tracked.Value
        .Where(file => file.EndsWith(extension, StringComparison.Ordinal) && File.Exists(Path.Combine(Folder, file)))
        .Where(file => folders.Length == 0 || folders.Any(folder => file.StartsWith(folder + "/", StringComparison.Ordinal)));

    public static string Text(string file) => File.ReadAllText(Path.Combine(Folder, file));

    public static string Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, WorkingDirectory = Folder };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return output;
    }
}
