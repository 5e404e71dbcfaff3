using System.Diagnostics.CodeAnalysis;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>
/// What the code made of messages that got their positions before it saw them, and replay makes of them too, under whatever code. One that
/// it cannot read is skipped, and a row of the journal says so, before anything that the code did without it; one that SQL sent before the
/// code began, and that no signal took, is a topic's, and a row says so.
/// </summary>
internal sealed partial class WorkflowCode
{
    private readonly Queue<(JournalRow Row, string Reason)> _refused = [];
    private readonly Queue<JournalRow> _ofTopics = [];
    private HashSet<int>? _refusedBefore;
    private HashSet<int>? _ofTopicsBefore;
    private DateTimeOffset _lastEntry;
    private JournalRow? _delivered;

    /// <summary>Reads a signal's arguments without delivering it.</summary>
    /// <exception cref="UnknownMethodException">The contract has no such signal.</exception>
    /// <exception cref="PayloadException">The arguments do not fit.</exception>
    public void CheckSignal(SignalRequest signal)
    {
        if (signal.IsTopic)
        {
            return;
        }

        var method = _type.Signals.GetValueOrDefault(signal.Name)
            ?? throw new UnknownMethodException($"Workflow '{Id}' ({_type.Name}) has no signal '{signal.Name}'.");
        Arguments(signal.Payload, method, $"Signal {signal.Name} of workflow '{Id}'");
    }

    /// <summary>The messages that were skipped since the last call, in order.</summary>
    public bool TryTakeRefused(out (JournalRow Row, string Reason) refused) => _refused.TryDequeue(out refused);

    /// <summary>The letters that were taken for a topic's since the last call.</summary>
    public bool TryTakeOfTopic([MaybeNullWhen(false)] out JournalRow row) => _ofTopics.TryDequeue(out row);

    /// <summary>As it is stored, logged and shown.</summary>
    public static string Reason(PayloadException error) => StoredText.Shortened(error.Message, 500);

    private void ExpectRefused(JournalRow row) =>
        Expect<RefusedMessage>("Refusal", row, refused => (_refusedBefore ??= []).Add(refused.Position));

    private void ExpectTopic(JournalRow row) =>
        Expect<LetterOfTopic>("Note", row, letter => (_ofTopicsBefore ??= []).Add(letter.Position));

    private bool IsOfTopic(JournalRow letter) => _ofTopicsBefore?.Contains(letter.Position) is true;

    private void NoteTopic(JournalRow letter)
    {
        if (!IsOfTopic(letter))
        {
            _ofTopics.Enqueue(letter);
        }
    }

    private void Expect<T>(string what, JournalRow row, Action<T> note)
    {
        try
        {
            note(_payloads.Read<T>(row.Payload, $"{what} at position {row.Position} of workflow '{Id}'"));
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

/// <summary>Payload of a row that says what a letter was.</summary>
/// <param name="Position">Of the letter in the journal.</param>
internal sealed record LetterOfTopic(int Position);
