using System.Collections.Frozen;
using System.Reflection;
using System.Text.RegularExpressions;

namespace Actors.Storage;

/// <summary>Every embedded SQL file, read once, with line feeds whatever the checkout's line ends were.</summary>
internal static partial class SqlText
{
    // Resource names carry the separators of the machine that built the assembly.
    private static readonly FrozenDictionary<string, string> Files = Assembly.GetExecutingAssembly().GetManifestResourceNames()
        .Where(resource => resource.EndsWith(".sql", StringComparison.Ordinal))
        .ToFrozenDictionary(resource => resource.Replace('\\', '/'), Read);

    /// <summary>The statement of <c>Sql/name.sql</c>, without the comment lines of its header.</summary>
    /// <exception cref="ArgumentException">There is no such file.</exception>
    public static string Get(string name) => Files.TryGetValue($"Sql/{name}.sql", out var text)
        ? WithoutHeader(text)
        : throw new ArgumentException($"No embedded statement 'Sql/{name}.sql'.", nameof(name));

    /// <summary>What follows the comment lines at the beginning of a file.</summary>
    public static string WithoutHeader(string text) => string.Join(
        '\n', text.Split('\n').SkipWhile(line => line.Length == 0 || line.StartsWith("--", StringComparison.Ordinal))).Trim();

    /// <summary>The same statement for a group of one: what it takes from arrays comes from plain parameters, which costs the server a
    /// fifth less.</summary>
    public static string ForOne(string name) => Cardinality().Replace(
        Unnest().Replace(Get(name), match => $"(select {match.Groups["arrays"].Value.Replace("[]", "", StringComparison.Ordinal)})"), "1");

    /// <summary>The whole text of every file in a folder, by file name without folder and extension.</summary>
    public static IEnumerable<(string Name, string Text)> Folder(string folder) => Files
        .Where(file => file.Key.StartsWith(folder + "/", StringComparison.Ordinal))
        .Select(file => (file.Key[(folder.Length + 1)..^".sql".Length], file.Value));

    private static string Read(string resource)
    {
        using var reader = new StreamReader(Assembly.GetExecutingAssembly().GetManifestResourceStream(resource)!);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }

    [GeneratedRegex(@"unnest\((?<arrays>[^)]*)\)")]
    private static partial Regex Unnest();

    [GeneratedRegex(@"cardinality\(\$1\)")]
    private static partial Regex Cardinality();
}
