using Actors.Calling;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Programs;

/// <summary>Recorded outcomes as callers get them, and errors as they are recorded.</summary>
internal static class Answers
{
    private const int TextMax = 16 * 1024;

    /// <summary>The error as JSON that fits the limits: type, message and stack of the exception, the stack with those of inner
    /// exceptions.</summary>
    public static Payload Record(Exception error, PayloadSerializer payloads, FormattableString what)
    {
        var type = error is StepFailedException step ? step.ErrorType : error.GetType().FullName ?? error.GetType().Name;
        var stack = error is StepFailedException { ErrorStack: { } original } ? $"{original}\n--- in the workflow's code ---\n{error}"
            : ErrorText.Of(error);
        var max = Math.Min(TextMax, payloads.SizeMax / 20); // Three texts, each character as long as JSON can make it.
        return payloads.Write(
            new RecordedError(StoredText.Shortened(type, max), StoredText.Shortened(ErrorText.MessageOf(error), max),
            StoredText.Shortened(stack, max)), what);
    }

    /// <summary>The row that says why a run of this type cannot go on.</summary>
    public static JournalRow SetAside(string type, string reason, PayloadSerializer payloads) =>
        new(JournalKind.SetAside, 0, type, Record(new WorkflowSetAsideException(reason), payloads, $"Reason"));

    public static ResultReply Ended(JournalKind kind, Payload payload, PayloadSerializer payloads) => kind == JournalKind.Completed
        ? new ResultReply(null, Ended: true, payload, null)
        : new ResultReply(null, Ended: true, default, Recorded(payload, payloads, $"Recorded error"));

    /// <summary>What <see cref="Record"/> wrote.</summary>
    /// <exception cref="PayloadException">It is something else: somebody changed the journal.</exception>
    public static RecordedError Recorded(Payload payload, PayloadSerializer payloads, FormattableString what) =>
        payloads.Read<RecordedError?>(payload, what) is { Type: not null, Message: not null } error ? error
        : throw new PayloadException($"{what}: the payload is no recorded error.");
}
