namespace Actors.Storage;

/// <summary>
/// What an exception of users' code says of itself. Its Message, its stack and whatever else it overrides is users' code too, and may
/// throw: asking for it here never does.
/// </summary>
internal static class ErrorText
{
    public static string MessageOf(Exception error) => Ask(error, error => error.Message);

    /// <summary>Type, message and stack, with those of inner exceptions.</summary>
    public static string Of(Exception error) => Ask(error, error => error.ToString());

    /// <summary>The exception itself, or one that loggers can write in its place.</summary>
    public static Exception Loggable(Exception error)
    {
        try
        {
            _ = error.ToString();
            return error;
        }
        catch (Exception thrown)
        {
            return new InvalidOperationException(Silence(error, thrown));
        }
    }

    private static string Ask(Exception error, Func<Exception, string?> text)
    {
        try
        {
            return text(error) ?? "";
        }
        catch (Exception thrown)
        {
            return Silence(error, thrown);
        }
    }

    private static string Silence(Exception error, Exception thrown) =>
        $"(a {error.GetType().FullName}, whose own text threw {thrown.GetType().FullName})";
}
