using Actors.Storage;

namespace Actors.Execution;

/// <summary>What a run will commit next: rows and effects in the order in which they got ready, and who waits for the commit.</summary>
internal sealed class Draft
{
    private readonly List<(JournalRow Row, IReadOnlyList<OutgoingMessage> Messages)> _rows = [];
    private readonly List<int> _clearedTimers = [];
    private readonly List<string> _clearedMail = [];
    private readonly List<TaskCompletionSource> _acknowledgements = [];
    private DateTimeOffset? _notBefore;

    public bool IsEmpty => _rows.Count == 0 && _clearedTimers.Count == 0 && _clearedMail.Count == 0;

    /// <summary>Bytes of payload.</summary>
    public int Size { get; private set; }

    /// <summary>True when it holds signals: code that has ended is told of them before its end commits.</summary>
    public bool HasSignals => _rows.Exists(r => r.Row.Kind is JournalKind.Signal or JournalKind.Topic);

    public void Add(JournalRow row, IReadOnlyList<OutgoingMessage>? messages = null)
    {
        _rows.Add((row with { Messages = (short)(messages?.Count ?? 0) }, messages ?? []));
        Size += row.Payload.Size + (messages?.Sum(m => m.Payload.Size) ?? 0);
    }

    public void AddFired(JournalRow row, DateTimeOffset due)
    {
        Add(row);
        ClearTimer(row.Seq);
        _notBefore = _notBefore is { } other && other > due ? other : due;
    }

    public void ClearTimer(int seq) => _clearedTimers.Add(seq);

    public void ClearMail(string messageId) => _clearedMail.Add(messageId);

    public void Acknowledge(TaskCompletionSource waiter) => _acknowledgements.Add(waiter);

    /// <summary>The entry that commits all of this at the given place. <paramref name="messages"/> counts those published before.</summary>
    public Entry Seal(long instance, short partition, int epoch, int position, int messages)
    {
        var entry = new Entry { Instance = instance, Partition = partition, Epoch = epoch, Position = position, NotBefore = _notBefore };
        foreach (var (row, outgoing) in _rows)
        {
            row.Position = ++position;
            entry.Rows.Add(row);
            foreach (var message in outgoing)
            {
                messages++;
                entry.Outbox.AddRange(message.Destinations.Select(destination => new OutgoingRow(messages, destination, message.Topic, message.Key, message.Payload)));
            }
        }

        entry.ClearedTimers.AddRange(_clearedTimers);
        entry.ClearedMail.AddRange(_clearedMail);
        entry.Size = Size;
        return entry;
    }

    /// <summary>Puts what was not committed back before what got ready since.</summary>
    public void Restore(Draft uncommitted, JournalRow? without = null)
    {
        _rows.InsertRange(0, uncommitted._rows.Where(r => without is null || r.Row.Kind != without.Kind || r.Row.Seq != without.Seq));
        _clearedTimers.InsertRange(0, uncommitted._clearedTimers);
        _clearedMail.InsertRange(0, uncommitted._clearedMail);
        _acknowledgements.InsertRange(0, uncommitted._acknowledgements);
        _notBefore = uncommitted._notBefore is { } due && !(_notBefore > due) ? due : _notBefore;
        Size = _rows.Sum(r => r.Row.Payload.Size + r.Messages.Sum(m => m.Payload.Size));
    }

    public void Committed() => _acknowledgements.ForEach(waiter => waiter.TrySetResult());

    public void Fail(Exception error) => _acknowledgements.ForEach(waiter => waiter.TrySetException(error));
}
