using System.Text.RegularExpressions;
using Xunit;

namespace Actors.Tidy;

/// <summary>What the documents quote, name and link to is there.</summary>
public sealed partial class DocumentTests
{
    public static TheoryData<string> Documents =>
        [.. Repository.Files(".md").Where(file => !file.StartsWith("benchmarks/results/", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Quoted_code_is_compiled_code(string document)
    {
        var text = Repository.Text(document);
        Assert.All(QuotePattern().Matches(text), quote =>
            Assert.Equal(Quoted(quote.Groups["file"].Value, quote.Groups["region"].Value),
                quote.Groups["code"].Value.ReplaceLineEndings("\n")));
        // No C# that is not quoted.
        Assert.Equal(CodePattern().Count(text), QuotePattern().Matches(text).Count(quote => quote.Groups["language"].Value == "csharp"));
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void Links_lead_somewhere(string document)
    {
        var folder = Path.GetDirectoryName(document)!;
        Assert.All(LinkPattern().Matches(Repository.Text(document)).Select(match => match.Groups[1].Value), link =>
            Assert.True(Path.Exists(Path.Combine(Repository.Folder, folder, link)), $"{document} links to {link}"));
    }

    [Fact]
    public void Every_promise_has_tests_that_exist()
    {
        var sources = string.Concat(Repository.Files(".cs", "tests").Select(Repository.Text));
        var promises = Repository.Text("docs/GUARANTEES.md").Split("\n## ")[1..];
        Assert.True(promises.Length >= 9);
        Assert.All(promises, promise =>
        {
            var named = TestPattern().Matches(promise).Select(match => match.Groups[1].Value).ToList();
            Assert.NotEmpty(named);
            Assert.All(named, test => Assert.Contains($" {test}(", sources, StringComparison.Ordinal));
            Assert.All(named, test => Assert.DoesNotMatch($@"\[OnlyInAll\]\s+(\[.*\]\s+)*public .* {test}\(", sources)); // ./test alone shows each promise.
        });
    }

    [Fact]
    public void Every_setting_is_in_the_operations_guide()
    {
        var guide = Repository.Text("docs/OPERATIONS.md");
        var settings = new[] { typeof(ExecutionOptions), typeof(OutboxOptions), typeof(ActorsClusterOptions) }.SelectMany(
            type => type.GetProperties());
        Assert.All(settings, property => Assert.Contains($"`{property.Name}`", guide, StringComparison.Ordinal));
    }

    private static string Quoted(string file, string region) =>
        region.Length > 0 ? Region(file, region) : Repository.Text(file).ReplaceLineEndings("\n").TrimEnd('\n');

    private static string Region(string file, string name)
    {
        var match = Regex.Match(Repository.Text(file).ReplaceLineEndings("\n"), $@"#region {Regex.Escape(name)}\n(.*?)\n\s*#endregion", RegexOptions.Singleline);
        Assert.True(match.Success, $"{file} has no region {name}");
        var lines = match.Groups[1].Value.Split('\n');
        var indent = lines.Where(line => line.Trim().Length > 0).Min(line => line.Length - line.TrimStart().Length);
        return string.Join('\n', lines.Select(line => line.Length > indent ? line[indent..] : line.Trim()));
    }

    [GeneratedRegex(@"<!-- (?<file>[^\s#]+)(?:#(?<region>\w+))? -->\n```(?<language>csharp|sql)\n(?<code>.*?)\n```", RegexOptions.Singleline)]
    internal static partial Regex QuotePattern();

    [GeneratedRegex("^```csharp", RegexOptions.Multiline)]
    private static partial Regex CodePattern();

    [GeneratedRegex(@"\]\((?!https?:|#)([^)#\s]+)")]
    private static partial Regex LinkPattern();

    [GeneratedRegex(@"`(?:\w+\.)?([A-Z]\w+(?:_\w+)+)`")]
    private static partial Regex TestPattern();
}
