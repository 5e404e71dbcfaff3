namespace Actors.Support;

/// <summary>Built programs of this repository, for tests that run them as processes of their own; of the same configuration as the running
/// test program.</summary>
public static class BuiltProgram
{
    public static string Orders { get; } = In(Path.Combine("samples", "Orders"), "Actors.Orders");

    public static string Faults { get; } = In(Path.Combine("tests", "Faults"), "Actors.Faults");

    private static string In(string project, string program) => Path.Combine(
        TestPostgres.RepositoryFolder, project, "bin",
        Path.GetFileName(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)))!, "net10.0",
        OperatingSystem.IsWindows() ? $"{program}.exe" : program);
}
