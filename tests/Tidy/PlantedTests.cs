using System.Diagnostics;
using System.Text.RegularExpressions;
using Actors.Support;
using Xunit;

namespace Actors.Tidy;

/// <summary>The bugs on purpose (tests/Faults/Planted) fit the sources of today, or the campaign would look for none.</summary>
public sealed partial class PlantedTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("actors-planted-");

    private static IEnumerable<string> Patches => Repository.Files(".patch", "tests/Faults/Planted")
        .Select(file => Path.GetFileNameWithoutExtension(file)).Where(name => name != "any").Order();

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Every_bug_is_a_patch_and_every_patch_a_bug() => Assert.Equal(
        Patches,
        BugPattern().Matches(Repository.Text("tests/Faults/PlantedBugs.cs"))
            .Select(match => NoLetterPattern().Replace(match.Groups[1].Value.ToLowerInvariant(), "-")).Order());

    [Fact]
    public void Every_patch_applies_and_is_chosen_by_its_name()
    {
        Plant();
        Assert.NotEmpty(Patches);
        Assert.All(Patches, name =>
        {
            var text = Repository.Text($"tests/Faults/Planted/{name}.patch");
            Assert.True(
                text.Contains($"Planted.Is(\"{name}\")", StringComparison.Ordinal)
                    || Directory.Exists(Path.Combine(_folder.FullName, "Grains", "Storage", "Planted", name)),
                $"{name} changes no statement and asks for no name.");
            Assert.All(ChoicePattern().Matches(text), choice => Assert.Equal(name, choice.Groups[1].Value));
        });
    }

    [OnlyInAll]
    [Fact]
    public void The_planted_sources_build()
    {
        Plant();
        var said = Repository.Run("dotnet", "build", Path.Combine(_folder.FullName, "tests", "Faults"), "-c", "Release");
        Assert.Contains("0 Error(s)", said, StringComparison.Ordinal);
    }

    private void Plant()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "plant is a script for bash.");
        var start = new ProcessStartInfo(
            "bash", [Path.Combine(Repository.Folder, "tests", "Faults", "Planted", "plant"), _folder.FullName]) { RedirectStandardError = true };
        using var plant = Process.Start(start)!;
        var said = plant.StandardError.ReadToEnd();
        plant.WaitForExit();
        Assert.True(plant.ExitCode == 0, said);
    }

    [GeneratedRegex("new\\(\"([^\"]+)\", \\[")]
    private static partial Regex BugPattern();

    [GeneratedRegex("[^a-z]+")]
    private static partial Regex NoLetterPattern();

    [GeneratedRegex("Planted\\.Is\\(\"([^\"]+)\"\\)")]
    private static partial Regex ChoicePattern();
}
