using System.IO.Compression;
using System.Xml.Linq;
using Actors.Support;
using Xunit;

namespace Actors.Tidy;

/// <summary>What a user gets: the product's projects alone, each with description, licence, readme and documentation.</summary>
public sealed class PackTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("actors-pack-");

    public void Dispose() => _folder.Delete(recursive: true);

    [OnlyInAll]
    [Fact]
    public void The_product_s_projects_are_packed_and_nothing_else()
    {
        var said = Repository.Run("dotnet", "pack", "Actors.sln", "-c", "Release", "--no-build", "-o", _folder.FullName);
        var packages = _folder.GetFiles("*.nupkg").OrderBy(file => file.Name, StringComparer.Ordinal).ToList();
        Assert.True(packages.Count > 0, said);
        Assert.Equal(["Actors.Client", "Actors.Grains", "Actors.Grains.Interfaces", "Actors.Postgres", "Actors.Silo"], packages.Select(file => Described(file).Id));
        Assert.All(packages, file =>
        {
            var (id, nuspec, entries) = Described(file);
            Assert.Superset(new HashSet<string> { "LICENSE", "README.md", $"lib/net10.0/{id}.dll", $"lib/net10.0/{id}.xml" }, entries);
            Assert.Equal("Apache-2.0", Value(nuspec, "license"));
            Assert.Equal("README.md", Value(nuspec, "readme"));
            Assert.Contains("durable workflows for .NET on Postgres", Value(nuspec, "description"), StringComparison.Ordinal);
        });
    }

    [Fact]
    public void The_licence_is_the_one_that_the_packages_name() =>
        Assert.Matches(@"^\s*Apache License\s+Version 2\.0, January 2004", Repository.Text("LICENSE"));

    private static (string Id, XElement Nuspec, HashSet<string> Entries) Described(FileInfo file)
    {
        using var archive = ZipFile.OpenRead(file.FullName);
        using var nuspec = archive.Entries.Single(entry => entry.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
        var metadata = XDocument.Load(nuspec).Root!.Elements().Single();
        return (Value(metadata, "id"), metadata, archive.Entries.Select(entry => entry.FullName).ToHashSet());
    }

    private static string Value(XElement metadata, string name) =>
        metadata.Elements().Single(element => element.Name.LocalName == name).Value;
}
