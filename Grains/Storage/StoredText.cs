namespace Actors.Storage;

/// <summary>Names that code gives and Postgres keeps as text: refused where they are given, not where a whole group is written.</summary>
internal static class StoredText
{
    /// <param name="what">As it begins a message.</param>
    /// <exception cref="ArgumentException">Too short or long, a control character, or half of a surrogate pair.</exception>
    public static string Checked(string? text, string what, int min, int max)
    {
        ArgumentNullException.ThrowIfNull(text, what);
        if (text.Length < min || text.Length > max)
        {
            throw new ArgumentException($"{what} has {text.Length} characters; {min} to {max} are allowed.");
        }

        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsControl(text[i]))
            {
                throw new ArgumentException($"{what} holds a control character at {i}.");
            }

            if (char.IsSurrogate(text[i]) && !IsPair(text, ref i))
            {
                throw new ArgumentException($"{what} is not well-formed: half of a surrogate pair at {i}.");
            }
        }

        return text;
    }

    private static bool IsPair(string text, ref int i) => i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]) && ++i > 0;
}
