using System.Diagnostics;

namespace Actors.Storage;

/// <summary>
/// Hands over together what became ready while the last group was under way. A lonely item goes at once, on a thread of its own or the one
/// that brings it: nothing waits for company. After a group, a lane waits only for what the group's answers set going: a small one is answered on the lane's
/// own thread, one item after the other, and a large one on the thread pool, where the lane waits for its turn. A second group goes beside the first when
/// <see cref="Crowd"/> items wait: fewer are better off behind it, unless it takes longer than <see cref="Patience"/>.
/// </summary>
/// <param name="lanes">Groups under way at the same time, at most.</param>
/// <param name="sizeMax">Items in one group.</param>
/// <param name="handle">Must settle every item of its group, whatever happens, and not throw.</param>
/// <param name="answer">Called with each item of a handled group. The lane of a small one waits for it, at most until the own thread's second look.</param>
internal sealed class Grouping<T>(int lanes, int sizeMax, Func<List<T>, Task> handle, Action<T>? answer = null) : IAsyncDisposable
{
    private const int Crowd = 32;
    private const int Few = 16;

    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(2);

    private readonly Queue<T> _items = new();
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly int _lanes = lanes;
    private int _idle = lanes;
    private int _expected;
    private Timer? _impatience;
    private bool _impatient;
    private long _waitsSince;
    private bool _ended;

    /// <summary>What an item adds to its group, whose weight grows past <see cref="WeightMax"/> by one item at most. Default nothing.</summary>
    public Func<T, int> Weigh { get; init; } = _ => 0;

    public long WeightMax { get; init; } = long.MaxValue;

    /// <summary>On which groups of at most <see cref="Few"/> are handled and answered when it is free; ends with this. Default: none.</summary>
    public OwnThread? Own { get; init; }

    /// <summary>When the answers of a group have taken longer on the own thread, the others go to the thread pool. Default 2 ms.</summary>
    public TimeSpan ShortMax { get; init; } = TimeSpan.FromMilliseconds(2);

    /// <summary>False after the end: the caller answers the item itself.</summary>
    public bool TryAdd(T item)
    {
        List<T> group;
        lock (_items)
        {
            if (_ended)
            {
                return false;
            }

            if (_items.Count == 0)
            {
                _waitsSince = Stopwatch.GetTimestamp();
            }

            _items.Enqueue(item);
            if (_idle < _lanes && _items.Count < Math.Max(Crowd, _expected))
            {
                WatchTheTime();
                return true;
            }

            if (_idle == 0)
            {
                return true;
            }

            _idle--;
            group = Take();
        }

        Begin(group);
        return true;
    }

    /// <summary>Takes nothing more, and returns when every group is handled.</summary>
    public Task EndAsync()
    {
        lock (_items)
        {
            _ended = true;
            SignalIfDrained();
        }

        return _drained.Task;
    }

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _impatience?.Dispose();
        Own?.Dispose();
    }

    /// <summary>A lane works for many: nothing that surrounds who brought its first item may follow into it.</summary>
    private void Begin(List<T> group)
    {
        if (TryOwn(group))
        {
            return;
        }

        if (OwnThread.IsCurrent)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static lane => _ = lane.Grouping.RunAsync(lane.Group), (Grouping: this, Group: group), preferLocal: false);
        }
        else
        {
            _ = Ambient.IsNothing ? RunAsync(group) : RunOutsideAsync(group);
        }
    }

    private Task RunOutsideAsync(List<T> group) => Ambient.LeaveAsync(async () =>
    {
        await RunAsync(group);
        return true;
    });

    private bool TryOwn(List<T> group) => group.Count <= Few && Own?.TryRun(new Lane(this, group)) is true;

    private async Task RunAsync(List<T>? group)
    {
        while (group is not null)
        {
            await handle(group);
            if (Own is { IsHere: true } && group.Count <= Few)
            {
                AnswerHere(group);
                return;
            }

            if (group.Count == 1)
            {
                var item = group[0];
                group = TakeOrRest(0);
                Answer(item, inline: group is null);
            }
            else
            {
                Expect(group.Count / 2);
                group.ForEach(item => Answer(item, inline: false));
                await Task.Yield(); // Behind the answers.
                group = TakeOrRest(group.Count / 2);
            }

            if (group is not null && _idle == _lanes - 1 && TryOwn(group))
            {
                return;
            }
        }
    }

    /// <summary>On the own thread. A lane that nothing waits for is free for others meanwhile; else it goes on when all are answered.</summary>
    private void AnswerHere(List<T> group)
    {
        var rests = group.Count == 1 && RestsIfNothingWaits();
        var began = Stopwatch.GetTimestamp();
        foreach (var item in group)
        {
            Own!.Add(new Answered(this, item, began));
        }

        if (!rests)
        {
            Own!.Add(new Lane(this, null));
        }
    }

    private void Answer(T item, bool inline)
    {
        if (answer is null)
        {
        }
        else if (inline)
        {
            answer(item);
        }
        else
        {
            ThreadPool.UnsafeQueueUserWorkItem(answer, item, preferLocal: false);
        }
    }

    /// <summary>While the answers of a group are at work, another lane waits for half of what they may bring, and the lane that gave them takes the rest.</summary>
    private void Expect(int items)
    {
        lock (_items)
        {
            _expected += items;
        }
    }

    private bool RestsIfNothingWaits()
    {
        lock (_items)
        {
            if (_items.Count > 0)
            {
                return false;
            }

            _idle++;
            SignalIfDrained();
            return true;
        }
    }

    private List<T>? TakeOrRest(int expected)
    {
        lock (_items)
        {
            _expected -= expected;
            return RestsIfNothingWaits() ? null : Take();
        }
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

    private void WatchTheTime()
    {
        if (!_impatient && _idle > 0)
        {
            _impatient = true;
            if (_impatience is null)
            {
                using (ExecutionContext.IsFlowSuppressed() ? default(AsyncFlowControl?) : ExecutionContext.SuppressFlow())
                {
                    _impatience = new Timer(_ => StopWaiting());
                }
            }

            _impatience!.Change(Patience, Timeout.InfiniteTimeSpan);
        }
    }

    private void StopWaiting()
    {
        List<T>? group = null;
        lock (_items)
        {
            _impatient = false;
            if (_items.Count > 0 && _idle > 0 && Stopwatch.GetElapsedTime(_waitsSince) >= Patience)
            {
                _idle--;
                group = Take();
            }
            else if (_items.Count > 0)
            {
                WatchTheTime();
            }
        }

        if (group is not null)
        {
            Begin(group);
        }
    }

    private void SignalIfDrained()
    {
        if (_ended && _idle == _lanes && _items.Count == 0)
        {
            _drained.TrySetResult();
        }
    }

    /// <summary>A lane on its own thread, with the group to begin with or with what waits by then; on the pool if that is too many.</summary>
    private sealed class Lane(Grouping<T> grouping, List<T>? group) : IRoundTrip
    {
        public void Execute()
        {
            if ((group ??= grouping.TakeOrRest(0)) is { Count: > Few } && OwnThread.IsCurrent)
            {
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            }
            else
            {
                _ = grouping.RunAsync(group);
            }
        }
    }

    /// <param name="began">When the answers of its group did.</param>
    private sealed class Answered(Grouping<T> grouping, T item, long began) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            grouping.Answer(item, inline: true);
            if (Stopwatch.GetElapsedTime(began) > grouping.ShortMax && grouping.Own is { IsHere: true } own)
            {
                own.GiveAway();
            }
        }
    }
}
