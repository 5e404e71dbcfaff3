using Actors.Support;
using Xunit;

namespace Actors.Grains.Tests.Golden;

/// <summary>Files of this folder hold what a review has seen. <c>ACTORS_GOLDEN=rewrite</c> writes them anew: see <c>rewrite</c>.</summary>
internal static class GoldenFile
{
    public static async Task<string> ReadAsync(string name) => File.Exists(PathOf(name)) ? await File.ReadAllTextAsync(PathOf(name)) : "";

    public static async Task CheckAsync(string name, string text)
    {
        if (Environment.GetEnvironmentVariable("ACTORS_GOLDEN") == "rewrite")
        {
            await File.WriteAllTextAsync(PathOf(name), text);
        }
        var (golden, now) = ((await ReadAsync(name)).Split('\n'), text.Split('\n'));
        Assert.True(golden.SequenceEqual(now),
            $"tests/Grains.Tests/Golden/{name} is not what the code says: run tests/Grains.Tests/Golden/rewrite, and review the change.\n"
            + string.Join('\n', [.. golden.Except(now).Select(line => "- " + line), .. now.Except(golden).Select(line => "+ " + line)]));
    }

    private static string PathOf(string name) => Path.Combine(TestPostgres.RepositoryFolder, "tests", "Grains.Tests", "Golden", name);
}
