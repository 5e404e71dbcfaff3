using Actors.Storage;

namespace Actors.Execution;

/// <summary>
/// Messages that have their position and that the code cannot read. Each is skipped, and a row of the journal says so, before anything that
/// the code did without it: replay skips it too, under whatever code.
/// </summary>
internal sealed partial class WorkflowCode
{
    private readonly Queue<(JournalRow Row, string Reason)> _refused = [];
    private HashSet<int>? _refusedBefore;
    private DateTimeOffset _lastEntry;
    private JournalRow? _delivered;

    /// <summary>The messages that were skipped since the last call, in order.</summary>
    public bool TryTakeRefused(out (JournalRow Row, string Reason) refused) => _refused.TryDequeue(out refused);

    /// <summary>As it is stored, logged and shown.</summary>
    public static string Reason(PayloadException error) => StoredText.Shortened(error.Message, 500);

    private void ExpectRefused(JournalRow row)
    {
        try
        {
            (_refusedBefore ??= []).Add(_payloads.Read<RefusedMessage>(row.Payload, $"Refusal at position {row.Position} of workflow '{Id}'").Position);
        }
        catch (PayloadException error)
        {
            Violate(error.Message);
        }
    }

    /// <summary>Skips a message. Where the history goes on without a refusal of it, it was read once: then the code has changed.</summary>
    private void Refuse(JournalRow row, PayloadException error)
    {
        if (IsReplaying && _delivered!.At != _lastEntry)
        {
            Violate($"{error.Message} It could when the history was made: the code changed under a running workflow.");
        }
        else
        {
            _refused.Enqueue((row, Reason(error)));
        }
    }
}

/// <summary>Payload of a row that refuses a message.</summary>
/// <param name="Position">Of the message in the journal.</param>
internal sealed record RefusedMessage(int Position, string Reason);
