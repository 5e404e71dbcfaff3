using Actors.Storage;

namespace Actors.Execution;

/// <summary>What a run will commit next: rows with their effects, in the order in which they got ready, and who waits for the
/// commit.</summary>
internal sealed class Draft
{
    private readonly List<Item> _items = [];
    // Most drafts are one step's result: what they do not need is not made.
    private List<int>? _clearedTimers;
    private List<string>? _clearedLetters;
    private List<(string MessageId, string Reason)>? _refusedLetters;
    private List<Outcome<bool>>? _acknowledgements;

    /// <summary>True when there is nothing worth a commit. Timers that nobody waits for any more go with the next one.</summary>
    public bool IsEmpty => _items.Count == 0 && _clearedLetters is null && _refusedLetters is null;

    /// <summary>Bytes of payload.</summary>
    public long Size { get; private set; }

    /// <summary>True when it holds signals: code that has ended is told of them before its end commits.</summary>
    public bool HasSignals => _items.Exists(item => item.Row.Kind is JournalKind.Signal or JournalKind.Topic);

    public bool Holds(string messageId) => _items.Exists(item => item.Row.MessageId == messageId);

    /// <summary>When the last of the timers that fire here is due.</summary>
    private DateTimeOffset? NotBefore { get; set; }

    /// <summary>The timers that fire here.</summary>
    public IEnumerable<int> Fired => _items.Where(item => item.NotBefore is not null).Select(item => item.Row.Seq);

    /// <summary>Returns the row.</summary>
    /// <param name="endsTimer">The row's command has a timer, which goes with it.</param>
    /// <param name="notBefore">Of a timer that fires: the database refuses the entry before this.</param>
    public JournalRow Add(
        JournalRow row, IReadOnlyList<OutgoingMessage>? messages = null, bool endsTimer = false, DateTimeOffset? notBefore = null)
    {
        row.Messages = messages?.Count ?? 0;
        Add(new Item(row, messages ?? [], endsTimer, notBefore));
        return row;
    }

    /// <summary>The row refuses the message at this position, which comes back to the inbox with it. It goes first,
    /// so that the entry behind the message's own is the one that holds it.</summary>
    public void AddRefusal(JournalRow row, int position, string reason)
    {
        var item = new Item(row, [], false, null) { Refuses = (position, reason) };
        _items.Insert(_items.FindLastIndex(earlier => earlier.Refuses is not null) + 1, item);
        Size += item.Size;
    }

    public void ClearTimer(int seq) => (_clearedTimers ??= []).Add(seq);

    public void ClearLetters(string messageId) => (_clearedLetters ??= []).Add(messageId);

    public void RefuseLetters(string messageId, string reason) => (_refusedLetters ??= []).Add((messageId, reason));

    public void Acknowledge(Outcome<bool> waiter) => (_acknowledgements ??= []).Add(waiter);

    /// <summary>Moves the first rows that fit the size, one at least, into a draft of their own; null where the commands of one turn alone
    /// exceed it.</summary>
    public Draft? TakeUpTo(long sizeMax)
    {
        var (count, size) = (1, _items[0].Size);
        while (count < _items.Count && size + _items[count].Size <= sizeMax)
        {
            size += _items[count++].Size;
        }

        while (count > 0 && count < _items.Count && _items[count].IsCommand && _items[count - 1].IsCommand)
        {
            count--;
        }

        if (count == 0 || (count == 1 && _items[0].IsCommand && size > sizeMax))
        {
            return null;
        }

        var part = new Draft();
        _items[..count].ForEach(part.Add);
        var rest = _items[count..];
        _items.Clear();
        (Size, NotBefore) = (0, null);
        rest.ForEach(Add);
        if (_items.Count == 0)
        {
            (part._acknowledgements, _acknowledgements) = (_acknowledgements, null);
        }

        return part;
    }

    /// <summary>The entry that commits all of this at the given place. <paramref name="messages"/> counts those published before.</summary>
    public Entry Seal(StoredRun run, int epoch, int position, int messages)
    {
        var entry = new Entry
        {
            Instance = run.Instance, Workflow = run.Workflow, Epoch = epoch, Position = position, NotBefore = NotBefore,
            Size = (int)Math.Min(Size, int.MaxValue),
            ClearedTimers = Joined(EndedTimers(), _clearedTimers) ?? [], ClearedLetters = _clearedLetters ?? [],
            RefusedLetters = _refusedLetters ?? [],
        };
        entry.Rows.Capacity = _items.Count;
        foreach (var item in _items)
        {
            item.Row.Position = ++position;
            entry.Rows.Add(item.Row);
            if (item.Refuses is { } refusal)
            {
                entry.Undelivered.Add(refusal);
            }

            foreach (var message in item.Messages)
            {
                messages++;
                if (entry.Outbox.Capacity == 0)
                {
                    entry.Outbox.Capacity = message.Destinations.Count; // Most entries have one message.
                }

                foreach (var destination in message.Destinations)
                {
                    entry.Outbox.Add(new OutgoingRow(messages, destination, message.Topic, message.Key, message.Payload));
                }
            }
        }

        return entry;
    }

    /// <summary>Puts what was not committed back before what got ready since, but for some rows.</summary>
    public void Restore(Draft uncommitted, Func<JournalRow, bool> without)
    {
        var later = _items.ToList();
        _items.Clear();
        (Size, NotBefore) = (0, null);
        uncommitted._items.Where(item => !without(item.Row)).Concat(later).ToList().ForEach(Add);
        _clearedTimers = Joined(uncommitted._clearedTimers, _clearedTimers);
        _clearedLetters = Joined(uncommitted._clearedLetters, _clearedLetters);
        _refusedLetters = Joined(uncommitted._refusedLetters, _refusedLetters);
        _acknowledgements = Joined(uncommitted._acknowledgements, _acknowledgements);
    }

    public void Committed() => _acknowledgements?.ForEach(waiter => waiter.Tell(true));

    public void Fail(Exception error) => _acknowledgements?.ForEach(waiter => waiter.Fail(error));

    private List<int>? EndedTimers() =>
        _items.Exists(item => item.EndsTimer) ? [.. _items.Where(item => item.EndsTimer).Select(item => item.Row.Seq)] : null;

    private static List<T>? Joined<T>(List<T>? first, List<T>? then) => first is null ? then : then is null ? first : [.. first, .. then];

    private void Add(Item item)
    {
        _items.Add(item);
        Size += item.Size;
        NotBefore = item.NotBefore > NotBefore || NotBefore is null ? item.NotBefore ?? NotBefore : NotBefore;
    }

    private sealed record Item(JournalRow Row, IReadOnlyList<OutgoingMessage> Messages, bool EndsTimer, DateTimeOffset? NotBefore)
    {
        public long Size { get; } = Row.Payload.Size + OutgoingMessage.SizeOf(Messages);

        /// <summary>The position of a message that the code cannot read, and why.</summary>
        public (int Position, string Reason)? Refuses { get; init; }

        public bool IsCommand => Row.Kind is JournalKind.TimerSet or JournalKind.Published;
    }
}
