namespace Actors.Outbox;

/// <summary>When a destination reads: fresh rows page by page in a pass from the start of the table, failed rows when they are
/// due.</summary>
/// <remarks>A pass that is wanted while one runs begins after it. All but the two requests belong to the destination's loop.</remarks>
internal sealed class PassClock(TimeProvider time)
{
    // Reading that finds little (a large backlog of blocked lanes) takes at most a fifth of the time.
    private const int RestFactor = 4;
    private static readonly TimeSpan TimerMin = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan CostPerLane = TimeSpan.FromMilliseconds(1);

    private readonly long _start = time.GetTimestamp();
    private int _passWanted = 1;
    private int _retriesUnknown = 1;
    private bool _inPass;
    private TimeSpan _wasted;
    private TimeSpan _restUntil;
    private TimeSpan _retryAt = TimeSpan.MaxValue;

    // Not the time of day, which may jump back: a rest would last as long.
    private TimeSpan Elapsed => time.GetElapsedTime(_start);

    /// <summary>Where the pass stands: its next page begins behind this id.</summary>
    public long After { get; private set; }

    public void WantPass() => Interlocked.Exchange(ref _passWanted, 1);

    public void ForgetRetries() => Interlocked.Exchange(ref _retriesUnknown, 1);

    public void RetryIn(TimeSpan delay)
    {
        var at = Elapsed + delay;
        _retryAt = at < _retryAt ? at : _retryAt;
    }

    /// <summary>True once for each time that failed rows may be due.</summary>
    public bool TakeRetries()
    {
        if (Interlocked.Exchange(ref _retriesUnknown, 0) == 0 && Elapsed < _retryAt)
        {
            return false;
        }

        _retryAt = TimeSpan.MaxValue;
        return true;
    }

    /// <summary>True while a pass runs; begins one that is wanted. What commits from here on is the next pass's.</summary>
    public bool InPass()
    {
        if (!_inPass && Elapsed >= _restUntil && Interlocked.Exchange(ref _passWanted, 0) == 1)
        {
            (_inPass, After, _wasted) = (true, 0, TimeSpan.Zero);
        }

        return _inPass;
    }

    public void PageRead(long? end, TimeSpan elapsed, int lanesFound)
    {
        _wasted += elapsed - CostPerLane * lanesFound;
        (_inPass, After) = (end is not null, end ?? 0);
        if (!_inPass && _wasted > TimeSpan.Zero)
        {
            _restUntil = Elapsed + _wasted * RestFactor;
        }
    }

    /// <summary>Infinite: only a request or an outcome brings work, also where there is no room to read.</summary>
    public TimeSpan UntilNext(bool mayReadPage, bool mayReadRetries)
    {
        var pass = mayReadPage && !_inPass && Volatile.Read(ref _passWanted) == 1 ? _restUntil : TimeSpan.MaxValue;
        var retry = mayReadRetries ? _retryAt : TimeSpan.MaxValue;
        var next = pass < retry ? pass : retry;
        var wait = next - Elapsed;
        return next == TimeSpan.MaxValue ? Timeout.InfiniteTimeSpan : wait > TimerMin ? wait : TimerMin;
    }
}
