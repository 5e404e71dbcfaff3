using System.Diagnostics.CodeAnalysis;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Programs;

/// <summary>
/// What the code made of messages that got their positions before it saw them, and replay makes of them too, under whatever code. One that
/// it cannot read is skipped, and a row of the journal says so, before anything that the code did without it; one that SQL sent before the
/// code began, and that no signal took, is a topic's, and a row says so.
/// </summary>
internal sealed partial class WorkflowProgram
{
    private readonly Queue<MessageNote> _notes = [];
    private HashSet<int>? _refusedBefore;
    private HashSet<int>? _ofTopicsBefore;
    private DateTimeOffset _lastEntry;
    private JournalRow? _delivered;

    public void CheckSignal(SignalCall signal)
    {
        if (signal.IsTopic)
        {
            return;
        }

        var method = _type.Signals.GetValueOrDefault(signal.Name)
            ?? throw new UnknownMethodException($"Workflow '{Id}' ({_type.Name}) has no signal '{signal.Name}'.");
        Arguments(signal.Payload, method, $"Signal {signal.Name} of workflow '{Id}'");
    }

    public bool TryTakeNote([MaybeNullWhen(false)] out MessageNote note) => _notes.TryDequeue(out note);

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
            var payload = _payloads.Write(new LetterOfTopic(letter.Position), $"Note on message '{letter.MessageId}'");
            _notes.Enqueue(new MessageNote(new JournalRow(JournalKind.LetterOfTopic, 0, letter.Name, payload), letter, null));
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
            var reason = Reason(error);
            var payload = _payloads.Write(new RefusedMessage(row.Position, reason), $"Refusal of message '{row.MessageId}'");
            _notes.Enqueue(new MessageNote(new JournalRow(JournalKind.Refused, 0, row.Name, payload), row, reason));
        }
    }
}

/// <summary>Payload of a row that refuses a message.</summary>
/// <param name="Position">Of the message in the journal.</param>
internal sealed record RefusedMessage(int Position, string Reason);

/// <summary>Payload of a row that says what a letter was.</summary>
/// <param name="Position">Of the letter in the journal.</param>
internal sealed record LetterOfTopic(int Position);
