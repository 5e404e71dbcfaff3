namespace Actors.Storage;

/// <summary>
/// What goes together, and what does not wait: items stand in a queue, groups of them are under way in slots. Pure policy under one lock;
/// it knows no thread and no clock of its own (<see cref="SlotRunner{T}"/> does).
/// <list type="bullet">
/// <item>A lonely item goes at once: nothing waits for company.</item>
/// <item>What came while a group was under way goes together, up to a size and a weight.</item>
/// <item>A second group goes beside the first only when <see cref="Crowd"/> items wait (fewer are better off behind it), or when the first
/// takes longer than <see cref="Patience"/>.</item>
/// <item>The answers of a group bring new items. While they are handled, half as many as the group had are counted as waiting: so they
/// go together, and not one by one.</item>
/// </list>
/// </summary>
/// <param name="slots">Groups under way at the same time, at most.</param>
/// <param name="sizeMax">Items in one group.</param>
internal sealed class GroupQueue<T>(int slots, int sizeMax)
{
    private const int Crowd = 32;

    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(2);

    private readonly Lock _lock = new();
    private readonly Queue<T> _items = new();
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly int _slots = slots;
    private int _free = slots;
    private int _expected;
    private bool _watched;
    private TimeSpan _waitsSince;
    private bool _ended;

    /// <summary>What an item adds to its group, whose weight grows past <see cref="WeightMax"/> by one item at most. Default
    /// nothing.</summary>
    public Func<T, int> Weigh { get; init; } = _ => 0;

    public long WeightMax { get; init; } = long.MaxValue;

    /// <summary>One group is under way.</summary>
    public bool IsOneUnderWay
    {
        get
        {
            lock (_lock)
            {
                return _free == _slots - 1;
            }
        }
    }

    /// <summary>False after the end: nothing was added.</summary>
    /// <param name="now">Time that has passed, by whatever clock.</param>
    /// <param name="begin">The group to begin now, in a slot that is taken by this; null: it waits.</param>
    /// <param name="watch">Call <see cref="TakeLate"/> after <see cref="Patience"/>.</param>
    public bool TryAdd(T item, TimeSpan now, out List<T>? begin, out bool watch)
    {
        (begin, watch) = (null, false);
        lock (_lock)
        {
            if (_ended)
            {
                return false;
            }

            if (_items.Count == 0)
            {
                _waitsSince = now;
            }

            _items.Enqueue(item);
            if (_free > 0 && _free < _slots && _items.Count < Math.Max(Crowd, _expected))
            {
                watch = Watch();
            }
            else if (_free > 0)
            {
                _free--;
                begin = Take();
            }

            return true;
        }
    }

    /// <summary>The time is up for what waits behind a group that takes long: the group to begin now, or null.</summary>
    /// <inheritdoc cref="TryAdd"/>
    public List<T>? TakeLate(TimeSpan now, out bool watch)
    {
        lock (_lock)
        {
            (_watched, watch) = (false, false);
            if (_items.Count > 0 && _free > 0 && now - _waitsSince >= Patience)
            {
                _free--;
                return Take();
            }

            watch = _items.Count > 0 && Watch();
            return null;
        }
    }

    /// <summary>The answers of a group are at work, and may bring so many items.</summary>
    public void Expect(int items)
    {
        lock (_lock)
        {
            _expected += items;
        }
    }

    /// <summary>The slot's group is handled: the next one, or null, and the slot is free.</summary>
    /// <param name="expected">What <see cref="Expect"/> was told of the group.</param>
    public List<T>? TakeOrFree(int expected = 0)
    {
        lock (_lock)
        {
            _expected -= expected;
            return FreeIfNothingWaits() ? null : Take();
        }
    }

    /// <summary>True when nothing waits: the slot is free.</summary>
    public bool TryFree()
    {
        lock (_lock)
        {
            return FreeIfNothingWaits();
        }
    }

    /// <summary>Takes nothing more. Completes when every slot is free and nothing waits.</summary>
    public Task EndAsync()
    {
        lock (_lock)
        {
            _ended = true;
            TellIfDrained();
        }

        return _drained.Task;
    }

    private bool FreeIfNothingWaits()
    {
        if (_items.Count > 0)
        {
            return false;
        }

        _free++;
        TellIfDrained();
        return true;
    }

    private List<T> Take()
    {
        var group = new List<T>(Math.Min(_items.Count, sizeMax));
        var weight = 0L;
        while (group.Count < sizeMax && weight < WeightMax && _items.TryDequeue(out var item))
        {
            group.Add(item);
            weight += Weigh(item);
        }

        return group;
    }

    private bool Watch() => !_watched && _free > 0 && (_watched = true);

    private void TellIfDrained()
    {
        if (_ended && _free == _slots && _items.Count == 0)
        {
            _drained.TrySetResult();
        }
    }
}
