using Actors.Calling;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>Recorded outcomes as callers get them, and errors as they are recorded.</summary>
internal static class Answers
{
    private const int TextMax = 16 * 1024;

    /// <summary>The error as JSON that fits the limits: type, message and stack of the exception, the stack with those of inner exceptions.</summary>
    public static Payload Record(Exception error, PayloadSerializer payloads, string what)
    {
        var type = error is StepFailedException step ? step.ErrorType : error.GetType().FullName ?? error.GetType().Name;
        return payloads.Write(new RecordedError(type, Short(error.Message)!, Short(error.ToString())), what);
    }

    public static ResultReply Ended(JournalKind kind, Payload payload, PayloadSerializer payloads) => kind == JournalKind.Completed
        ? new ResultReply(null, Ended: true, payload, null)
        : new ResultReply(null, Ended: true, default, payloads.Read<RecordedError>(payload, "Recorded error"));

    private static string? Short(string? text)
    {
        // U+0000 is legal in .NET and not in Postgres; half a surrogate pair would not be written as it is.
        var clean = text?.Replace('\0', '\uFFFD');
        return clean is { Length: > TextMax } ? clean[..TextMax] + "…" : clean;
    }
}
