namespace Actors.Storage;

/// <summary>
/// A thread for round trips that may block it, one after the other. What an answer brings while it is at work here goes next, on this thread: no other
/// has to wake. What has waited for a thread that is at work between two looks at it, <see cref="Patience"/> apart, goes to the thread pool.
/// </summary>
internal abstract class OwnThread
{
    /// <summary>The calling thread is one of these: it may be blocked.</summary>
    [ThreadStatic]
    private static bool _isCurrent;

    protected static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(10);

    public static bool IsCurrent
    {
        get => _isCurrent;
        protected set => _isCurrent = value;
    }
}

/// <inheritdoc/>
/// <param name="name">The thread's.</param>
/// <param name="run">Does one piece of work, and does not throw.</param>
internal sealed class OwnThread<T> : OwnThread, IDisposable
    where T : class
{
    private readonly Action<T> _run;
    private readonly Thread _thread;
    private readonly SemaphoreSlim _wake = new(0);
    private readonly Timer _impatience;
    private T? _next;
    private int _taken;
    private int _placed;
    private int _placedBefore;
    private int _watched;
    private volatile bool _working;
    private volatile bool _stuck;
    private volatile bool _ended;

    public OwnThread(string name, Action<T> run)
    {
        _run = run;
        _thread = new Thread(Loop) { Name = name, IsBackground = true };
        _impatience = new Timer(_ => TakeOver());
        _thread.UnsafeStart();
    }

    /// <summary>False when the thread has something else to do.</summary>
    public bool TryRun(T work)
    {
        if (Thread.CurrentThread != _thread)
        {
            if (Interlocked.CompareExchange(ref _taken, 1, 0) != 0)
            {
                return false;
            }

            Interlocked.Increment(ref _placed);
            Volatile.Write(ref _next, work);
            _wake.Release();
            return true;
        }

        if (_stuck || Interlocked.CompareExchange(ref _next, work, null) is not null)
        {
            return false;
        }

        Interlocked.Increment(ref _placed);
        if (Volatile.Read(ref _watched) == 0)
        {
            Watch();
        }

        return true;
    }

    /// <summary>For when there is no work any more; may be called on this thread.</summary>
    public void Dispose()
    {
        _ended = true;
        _wake.Release();
        _impatience.Dispose();
    }

    private void Loop()
    {
        IsCurrent = true;
        var own = ExecutionContext.Capture();
        while (true)
        {
            _wake.Wait();
            while (Interlocked.Exchange(ref _next, null) is { } work)
            {
                _working = true;
                _run(work);
                _working = false;
                ExecutionContext.Restore(own!); // Whatever answers left in it.
                _stuck = false;
            }

            if (_ended)
            {
                return;
            }

            Volatile.Write(ref _taken, 0);
        }
    }

    private void Watch()
    {
        Volatile.Write(ref _watched, 1);
        _impatience.Change(Patience, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Takes what has waited since the last look.</summary>
    private void TakeOver()
    {
        Interlocked.Exchange(ref _watched, 0);
        var placed = Volatile.Read(ref _placed);
        if (Volatile.Read(ref _next) is not { } waits)
        {
            return;
        }

        if (_placedBefore != placed)
        {
            _placedBefore = placed;
            Watch();
        }
        else if (Interlocked.CompareExchange(ref _next, null, waits) == waits)
        {
            _stuck = _working;
            _run(waits);
        }
    }
}
