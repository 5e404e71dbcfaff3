using System.Text;

namespace Actors.Storage;

/// <summary>Text of errors, whoever wrote it, as Postgres can hold it: shortened and mended, where a name would be refused.</summary>
internal static class StoredText
{
    /// <summary>At most <paramref name="max"/> characters, and an ellipsis for the rest; U+FFFD for U+0000 and for half of a surrogate
    /// pair.</summary>
    public static string Shortened(string? text, int max)
    {
        text ??= ""; // Users' exceptions have no message, too.
        var end = text.Length <= max ? text.Length : char.IsHighSurrogate(text[max - 1]) ? max - 1 : max;
        var mended = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text, 0, end)).Replace('\0', '\uFFFD');
        return end == text.Length ? mended : mended + "…";
    }
}
