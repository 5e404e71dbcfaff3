namespace Actors.Storage;

/// <summary>
/// A thread for round trips that may block it, one after the other. What an answer brings while it is at work here goes next, on this thread: no other
/// has to wake. What has waited for a thread that is at work between two looks at it, <see cref="Patience"/> apart, goes to the thread pool.
/// </summary>
internal sealed class OwnThread : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(10);

    [ThreadStatic]
    private static OwnThread? _current;

    private readonly SemaphoreSlim _wake = new(0);
    private readonly Timer _impatience;
    private IThreadPoolWorkItem? _next;
    private IThreadPoolWorkItem? _seen;
    private int _taken;
    private int _watched;
    private volatile bool _stuck;
    private volatile bool _ended;

    public OwnThread(string name)
    {
        _impatience = new Timer(_ => TakeOver());
        new Thread(Loop) { Name = name, IsBackground = true }.UnsafeStart();
    }

    /// <summary>The calling thread is one of these: it may be blocked.</summary>
    public static bool IsCurrent => _current is not null;

    /// <summary>False when the thread has something else to do.</summary>
    /// <param name="work">Used once, and does not throw.</param>
    public bool TryRun(IThreadPoolWorkItem work)
    {
        if (_current != this)
        {
            if (Interlocked.CompareExchange(ref _taken, 1, 0) != 0)
            {
                return false;
            }

            Volatile.Write(ref _next, work);
            _wake.Release();
            return true;
        }

        if (_stuck || Interlocked.CompareExchange(ref _next, work, null) is not null)
        {
            return false;
        }

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
        _current = this;
        var own = ExecutionContext.Capture();
        while (true)
        {
            _wake.Wait();
            while (Interlocked.Exchange(ref _next, null) is { } work)
            {
                _stuck = false;
                work.Execute();
                ExecutionContext.Restore(own!); // Whatever answers left in it.
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

    /// <summary>Takes what the last look saw waiting, too.</summary>
    private void TakeOver()
    {
        Interlocked.Exchange(ref _watched, 0);
        var (seen, waits) = (_seen, Volatile.Read(ref _next));
        _seen = waits;
        if (waits is null)
        {
            return;
        }

        if (waits != seen)
        {
            Watch();
        }
        else if (Interlocked.CompareExchange(ref _next, null, waits) == waits)
        {
            (_stuck, _seen) = (true, null);
            waits.Execute();
        }
    }
}
