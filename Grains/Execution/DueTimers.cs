namespace Actors.Execution;

/// <summary>Calls back when a time of the database has come, by its clock as this process knows it: one timer for all runs in
/// memory.</summary>
internal sealed class DueTimers : IDisposable
{
    private static readonly TimeSpan CheckAgain = TimeSpan.FromSeconds(30);

    private readonly DatabaseClock _clock;
    private readonly PriorityQueue<DueTimer, DateTimeOffset> _due = new();
    private readonly Lock _lock = new();
    private readonly ITimer _timer;

    public DueTimers(DatabaseClock clock, TimeProvider time)
    {
        _clock = clock;
        _timer = time.CreateTimer(_ => Fire(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        clock.Jumped += Fire;
    }

    /// <param name="callback">Must not block. May come more than once per timer's purpose: the receiver looks whether it still
    /// matters.</param>
    public DueTimer Schedule(DateTimeOffset due, Action callback)
    {
        var timer = new DueTimer(callback);
        lock (_lock)
        {
            _due.Enqueue(timer, due);
            if (ReferenceEquals(_due.Peek(), timer))
            {
                Arm();
            }
        }

        return timer;
    }

    public void Dispose()
    {
        _clock.Jumped -= Fire;
        _timer.Dispose();
    }

    private void Fire()
    {
        List<DueTimer> now = [];
        lock (_lock)
        {
            var time = _clock.Now;
            while (_due.TryPeek(out _, out var due) && due <= time)
            {
                now.Add(_due.Dequeue());
            }

            Arm();
        }

        foreach (var timer in now)
        {
            timer.Fire();
        }
    }

    private void Arm()
    {
        if (_due.TryPeek(out _, out var due))
        {
            // Timers of the runtime count whole milliseconds and round down: a timer that is early by less would spin.
            var wait = due - _clock.Now + TimeSpan.FromMilliseconds(1);
            _timer.Change(wait < TimeSpan.Zero ? TimeSpan.Zero : wait > CheckAgain ? CheckAgain : wait, Timeout.InfiniteTimeSpan);
        }
    }
}

/// <summary>A callback to come. Given up it holds nothing any more, though its place in the line goes with its time.</summary>
internal sealed class DueTimer(Action callback)
{
    private Action? _callback = callback;

    public void GiveUp() => Volatile.Write(ref _callback, null);

    public void Fire() => Interlocked.Exchange(ref _callback, null)?.Invoke();
}
