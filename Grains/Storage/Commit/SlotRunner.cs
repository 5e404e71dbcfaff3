using System.Diagnostics;

namespace Actors.Storage;

/// <summary>
/// Runs the groups of a <see cref="GroupQueue{T}"/>, and says on which thread. A group begins on the own thread when that is free and the
/// group is small; else on the thread that brought its first item; else on the thread pool. After a group its slot waits only for what its
/// answers set going:
/// <code>
/// handled on                answered                                      then the slot
/// the own thread, small     one after the other there, as long as they    is free if nothing waited; else takes what waits by then,
///                           are short; then on the thread pool            behind the answers
/// the pool, one item        here, if nothing waits; else on the pool      is free, or goes on with what waits, before the answer
/// the pool, more            on the pool                                   goes on behind them, and counts on half as many new items
/// </code>
/// </summary>
/// <param name="queue">Says what goes together.</param>
/// <param name="handle">Must answer every item of its group, whatever happens, and not throw.</param>
/// <param name="answer">Called with each item of a handled group. The slot of a small one waits for it, at most until the own thread's
/// second look.</param>
internal sealed class SlotRunner<T>(GroupQueue<T> queue, Func<List<T>, Task> handle, Action<T>? answer = null) : IAsyncDisposable
{
    private const int Few = 16;

    private readonly Lock _timing = new();
    private Timer? _late;

    /// <summary>On which groups of at most <see cref="Few"/> are handled and answered when it is free; ends with this. Default:
    /// none.</summary>
    public OwnThread? Own { get; init; }

    /// <summary>When the answers of a group have taken longer on the own thread, the others go to the thread pool. Default 2 ms.</summary>
    public TimeSpan ShortMax { get; init; } = TimeSpan.FromMilliseconds(2);

    private static TimeSpan Now => Stopwatch.GetElapsedTime(0);

    /// <summary>False after the end: the caller answers the item itself.</summary>
    public bool TryAdd(T item)
    {
        if (!queue.TryAdd(item, Now, out var group, out var watch))
        {
            return false;
        }

        if (group is not null)
        {
            Begin(group);
        }
        else if (watch)
        {
            CheckLater();
        }

        return true;
    }

    /// <summary>Takes nothing more, and returns when every group is handled.</summary>
    public Task EndAsync() => queue.EndAsync();

    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        _late?.Dispose();
        Own?.Dispose();
    }

    /// <summary>A slot works for many: nothing that surrounds who brought its first item may follow into it.</summary>
    private void Begin(List<T> group)
    {
        if (TryOwn(group))
        {
            return;
        }

        if (OwnThread.IsCurrent)
        {
            ThreadPool.UnsafeQueueUserWorkItem(
                static slot => _ = slot.Runner.RunAsync(slot.Group), (Runner: this, Group: group), preferLocal: false);
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

    private bool TryOwn(List<T> group) => group.Count <= Few && Own?.TryRun(new Slot(this, group)) is true;

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
                group = queue.TakeOrFree();
                Answer(item, inline: group is null);
            }
            else
            {
                var expected = group.Count / 2;
                queue.Expect(expected);
                group.ForEach(item => Answer(item, inline: false));
                await Task.Yield(); // Behind the answers.
                group = queue.TakeOrFree(expected);
            }

            if (group is not null && queue.IsOneUnderWay && TryOwn(group))
            {
                return;
            }
        }
    }

    /// <summary>On the own thread. A slot that nothing waits for is free for others meanwhile; else it goes on when all are
    /// answered.</summary>
    private void AnswerHere(List<T> group)
    {
        var isFree = group.Count == 1 && queue.TryFree();
        var began = Stopwatch.GetTimestamp();
        foreach (var item in group)
        {
            Own!.Add(new Answered(this, item, began));
        }

        if (!isFree)
        {
            Own!.Add(new Slot(this, null));
        }
    }

    private void Answer(T item, bool inline)
    {
        if (answer is not null && inline)
        {
            answer(item);
        }
        else if (answer is not null)
        {
            ThreadPool.UnsafeQueueUserWorkItem(answer, item, preferLocal: false);
        }
    }

    private void CheckLater()
    {
        lock (_timing)
        {
            if (_late is null)
            {
                using (ExecutionContext.IsFlowSuppressed() ? default(AsyncFlowControl?) : ExecutionContext.SuppressFlow())
                {
                    _late = new Timer(_ => Look());
                }
            }

            _late.Change(GroupQueue<T>.Patience, Timeout.InfiniteTimeSpan);
        }
    }

    private void Look()
    {
        var group = queue.TakeLate(Now, out var watch);
        if (group is not null)
        {
            Begin(group);
        }
        else if (watch)
        {
            CheckLater();
        }
    }

    /// <summary>A slot on the own thread, with the group to begin with or with what waits by then; on the pool if that is too
    /// many.</summary>
    private sealed class Slot(SlotRunner<T> runner, List<T>? group) : IRoundTrip
    {
        public void Execute()
        {
            if ((group ??= runner.TakeNext()) is { Count: > Few } && OwnThread.IsCurrent)
            {
                ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
            }
            else
            {
                _ = runner.RunAsync(group);
            }
        }
    }

    private List<T>? TakeNext() => queue.TakeOrFree();

    /// <param name="began">When the answers of its group did.</param>
    private sealed class Answered(SlotRunner<T> runner, T item, long began) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            runner.Answer(item, inline: true);
            if (Stopwatch.GetElapsedTime(began) > runner.ShortMax && runner.Own is { IsHere: true } own)
            {
                own.HandOver();
            }
        }
    }
}
