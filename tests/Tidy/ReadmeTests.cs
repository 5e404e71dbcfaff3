using System.Diagnostics;
using System.Text.RegularExpressions;
using Actors.Postgres;
using Actors.Support;
using Xunit;

namespace Actors.Tidy;

/// <summary>
/// README's program as a stranger pastes it: its files, its project, its table. Two things are put in for the place: where the clone is,
/// and ports that are free. The projects that it references are those that were built with this test.
/// </summary>
public sealed partial class ReadmeTests(TestDatabase database) : IClassFixture<TestDatabase>, IDisposable
{
    private static readonly string Readme = Repository.Text("README.md");

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("actors-readme-");

    public void Dispose() => _folder.Delete(recursive: true);

    [OnlyInAll]
    [Fact]
    public async Task What_README_shows_compiles_runs_and_starts_anew_after_a_failure()
    {
        var project = ProjectPattern().Match(Readme).Groups[1].Value.Replace(
            "../actors/", Repository.Folder + "/", StringComparison.Ordinal);
        var shop = Build("Shop", project, "samples/Shop/ICheckout.cs", "samples/Shop/Checkout.cs", "samples/Shop/Program.cs");
        var client = Build("ShopClient", project.Replace("Grains", "Client", StringComparison.Ordinal), "samples/Shop/ICheckout.cs",
            "samples/ShopClient/Program.cs");

        using (var without = Start(shop))
        {
            var said = await ReadUntilAsync(without, "Receipt");
            // There is no table: the order fails, and so does the program.
            Assert.DoesNotContain("Receipt", said, StringComparison.Ordinal);
        }

        await using (var table = database.DataSource.CreateCommand(Block("samples/Shop/checkouts.sql")))
        {
            await table.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }

        var receipt = ReceiptPattern().Match(Readme).Groups[1].Value;
        using var silo = Start(shop);
        Assert.EndsWith(receipt, await ReadUntilAsync(silo, "Receipt"), StringComparison.Ordinal);
        using var asks = Start(client);
        Assert.EndsWith(receipt, await ReadUntilAsync(asks, "Receipt"), StringComparison.Ordinal);
        silo.Kill();
    }

    private static string Block(string file) =>
        DocumentTests.QuotePattern().Matches(Readme).Single(quote => quote.Groups["file"].Value == file).Groups["code"].Value;

    /// <summary>The program that these blocks make.</summary>
    private string Build(string name, string project, params string[] files)
    {
        var folder = _folder.CreateSubdirectory(name).FullName;
        File.WriteAllText(Path.Combine(folder, name + ".csproj"), project);
        foreach (var file in files)
        {
            File.WriteAllText(Path.Combine(folder, Path.GetFileName(file)), Block(file).Replace(
                "actors.AddWorkflow<Checkout>();",
                $"actors.AddWorkflow<Checkout>(); (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = ({LoopbackPort.Free()}, "
                    + $"{LoopbackPort.Free()});",
                StringComparison.Ordinal));
        }

        var said = Repository.Run("dotnet", "build", folder, "-c", "Release", "-v", "quiet", "-p:BuildProjectReferences=false");
        var program = Path.Combine(folder, "bin/Release/net10.0", name + ".dll");
        Assert.True(File.Exists(program), said);
        return program;
    }

    private Process Start(string program) =>
        Process.Start(new ProcessStartInfo("dotnet", [program, database.ConnectionString]) { RedirectStandardOutput = true })!;

    /// <summary>What it prints until a line begins so, or to its end.</summary>
    private static async Task<string> ReadUntilAsync(Process process, string begin)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        var said = new List<string>();
        while (await process.StandardOutput.ReadLineAsync(limit.Token) is { } line)
        {
            said.Add(line);
            if (line.StartsWith(begin, StringComparison.Ordinal))
            {
                break;
            }
        }

        return string.Join('\n', said);
    }

    [GeneratedRegex(@"```xml\n(.*?)\n```", RegexOptions.Singleline)]
    private static partial Regex ProjectPattern();

    [GeneratedRegex(@"`(Receipt \{[^`]*\})`")]
    private static partial Regex ReceiptPattern();
}
