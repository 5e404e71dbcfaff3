using System.Text;

namespace Actors.Calling;

/// <summary>The one rule for every name that a caller gives and the database keeps: checked where it is given, before anything is
/// written.</summary>
/// <remarks>
/// The bounds are those of <c>actors.require_name_1</c>, counted as Postgres counts: characters are code points, so that a surrogate pair
/// is one, and ids are UTF-8 bytes. Half a pair would arrive as U+FFFD, and make two names one.
/// </remarks>
internal static class NameRule
{
    public const int CharactersMax = 200;

    /// <param name="what">As it begins the error's sentence.</param>
    /// <exception cref="ArgumentException">The text breaks the rule.</exception>
    public static string Checked(string? text, string what, int max = CharactersMax, int min = 1) =>
        Broken(text, what, max, min) is { } sentence ? throw new ArgumentException(sentence) : text!;

    /// <summary>The sentence that says how the text breaks the rule, or null.</summary>
    public static string? Broken(string? text, string what, int max = CharactersMax, int min = 1, bool inBytes = false)
    {
        var count = 0;
        string? fault = text is null ? "is null" : null;
        for (var i = 0; i < text?.Length && fault is null; i++, count++)
        {
            fault = char.IsControl(text[i]) ? $"holds U+{(int)text[i]:X4} at index {i}"
                : !char.IsSurrogate(text[i]) || (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[++i])) ? null
                : $"holds half of a surrogate pair at index {i}";
        }

        count = inBytes && fault is null ? Encoding.UTF8.GetByteCount(text!) : count;
        fault ??= count >= min && count <= max ? null : $"has {count}";
        return fault is null ? null
            : $"{what} is {min} to {max} {(inBytes ? "UTF-8 bytes" : "characters")}, well-formed and without control characters; "
                + $"this one {fault}.";
    }
}
