namespace Actors.Storage;

/// <summary>
/// Bugs on purpose, in the planted build alone (<c>plant</c> puts this file and the patches beside it into a copy of the sources): at most
/// one at a time, as the environment says. The campaign of faults must find it, else it sees nothing.
/// </summary>
internal static class Planted
{
    private static readonly string? Bug = Environment.GetEnvironmentVariable("ACTORS_PLANTED_BUG");

    /// <param name="bug">The name of the bug's patch.</param>
    public static bool Is(string bug) => bug == Bug;

    /// <summary>The embedded SQL file to read: the bug's own of this name, where it has one.</summary>
    public static string File(string resource) =>
        typeof(Planted).Assembly.GetManifestResourceNames().FirstOrDefault(other => other.Replace('\\', '/') == $"Planted/{Bug}/{resource}")
        ?? resource;
}
