namespace Actors.Support;

/// <summary>The built silo program, for tests that run it as a process of its own.</summary>
public static class SiloProgram
{
    /// <summary>Of the same configuration as the running test program.</summary>
    public static string File { get; } = Path.Combine(
        TestPostgres.RepositoryFolder, "Silo", "bin",
        Path.GetFileName(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)))!, "net10.0",
        OperatingSystem.IsWindows() ? "Actors.Silo.exe" : "Actors.Silo");
}
