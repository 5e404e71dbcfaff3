using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Actors.Storage;

/// <summary>One numbered SQL file. Once released it never changes: what it got wrong, a later one repairs.</summary>
internal sealed record Migration(int Number, string Name, string Sql)
{
    /// <summary>The files of this assembly, ascending by number.</summary>
    public static IReadOnlyList<Migration> Embedded { get; } =
        [.. SqlText.Folder("Migrations").Select(file => Parse(file.Name, file.Text)).OrderBy(migration => migration.Number)];

    /// <summary>SHA-256 of the text, as lower-case hexadecimal.</summary>
    public string Checksum { get; } = Hash(Sql);

    /// <summary>What is built online; null for what is applied in a transaction.</summary>
    public OnlineIndex? Online { get; } = OnlineIndex.Of(FileOf(Number, Name), Sql);

    public string File => FileOf(Number, Name);

    public static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static string FileOf(int number, string name) => $"Migrations/{number:D4}_{name}.sql";

    private static Migration Parse(string file, string sql) =>
        new(int.Parse(file.AsSpan(0, 4), NumberStyles.None, CultureInfo.InvariantCulture), file[5..], sql);
}
