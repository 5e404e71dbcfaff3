using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;

namespace Actors.Storage;

/// <summary>Work for an <see cref="OwnThread"/> that waits for the database as long as it must: no other thread takes the place of its
/// own.</summary>
internal interface IRoundTrip : IThreadPoolWorkItem;

/// <summary>
/// A thread for round trips that may block it, and for what their answers set going, one after the other: no other thread has to wake,
/// which is most of what a lonely commit costs. It must not be held: user code may run in what an answer sets going.
/// <para>Work has two queues: what goes <em>next</em> (a run's work, after the answer that brought it), and what <em>waits</em> (further
/// answers, the next group). Each work gets a number of its own, and the number of the work at hand shows the thread's state:</para>
/// <code>
/// state     number          who moves it on
/// resting   0               TryRun, from any thread, gives it work: at work
/// at work   n               the thread itself, when the work is over: the next one's number, or 0 when the queues are empty
/// held      n at two looks  Look, of the timer: the queues go to the thread pool; unless the work is a round trip, whose time is the
///                           database's, the number becomes 0 and another thread takes this one's place: replaced
/// replaced  no longer n     the former thread finds that when its work is over, and ends; where it is, IsHere is false from then on
/// </code>
/// <para>One verb a situation: <see cref="TryRun"/> from anywhere, when it is free; <see cref="Add"/> by its own work, behind what waits;
/// <see cref="GoNext"/> by what runs on one of these, before what waits, and from other threads to the pool; <see cref="HandOver"/> by
/// work that took long: what waits goes to the pool, and nothing is taken for <see cref="Rest"/>.</para>
/// </summary>
internal sealed class OwnThread : IDisposable
{
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(20);

    [ThreadStatic]
    private static OwnThread? _current;

    private readonly ConcurrentQueue<IThreadPoolWorkItem> _next = new();
    private readonly ConcurrentQueue<IThreadPoolWorkItem> _waiting = new();
    private readonly SemaphoreSlim _wake = new(0);
    private readonly string _name;
    private readonly TimeSpan _patience;
    private readonly Timer _impatience;
    private long _atWork; // Its number, each another; zero: none.
    private long _seen;
    private long _numbers;
    private volatile bool _isRoundTrip;
    private Thread? _thread;
    private long _restsUntil;
    private int _taken;
    private int _watched;
    private volatile bool _ended;

    /// <param name="patience">Between two looks. Default 10 ms.</param>
    public OwnThread(string name, TimeSpan? patience = null)
    {
        (_name, _patience) = (name, patience ?? TimeSpan.FromMilliseconds(10));
        using (ExecutionContext.IsFlowSuppressed() ? default(AsyncFlowControl?) : ExecutionContext.SuppressFlow())
        {
            _impatience = new Timer(_ => Look());
        }

        StartThread();
    }

    /// <summary>The calling thread is one of these: it may be blocked.</summary>
    public static bool IsCurrent => _current is { IsHere: true };

    /// <summary>The calling thread is this one.</summary>
    public bool IsHere => Volatile.Read(ref _thread) == Thread.CurrentThread;

    /// <summary>False when the thread rests, or is at something else than the caller. What its work brings goes when that is
    /// over.</summary>
    /// <param name="work">Does not throw.</param>
    public bool TryRun(IThreadPoolWorkItem work)
    {
        if (Stopwatch.GetTimestamp() < Volatile.Read(ref _restsUntil))
        {
            return false;
        }

        if (IsHere)
        {
            Add(work);
            return true;
        }

        if (Interlocked.CompareExchange(ref _taken, 1, 0) != 0)
        {
            return false;
        }

        _waiting.Enqueue(work);
        _wake.Release();
        return true;
    }

    /// <summary>Called by work on this thread: goes when that is over, after what was added before, whether the thread rests or
    /// not.</summary>
    /// <inheritdoc cref="TryRun" path="/param"/>
    public void Add(IThreadPoolWorkItem work)
    {
        _waiting.Enqueue(work);
        Watch();
    }

    /// <summary>Goes when what is at work on the calling thread is over, before what waits there, if it is one of these; else soon, on one
    /// of the thread pool.</summary>
    /// <inheritdoc cref="TryRun" path="/param"/>
    public static void GoNext(IThreadPoolWorkItem work)
    {
        if (_current is { IsHere: true } own)
        {
            own._next.Enqueue(work);
            own.Watch();
        }
        else
        {
            ThreadPool.UnsafeQueueUserWorkItem(work, preferLocal: true);
        }
    }

    /// <summary>What waits goes to the thread pool, in its order, and nothing is taken for a moment.</summary>
    public void HandOver()
    {
        Volatile.Write(ref _restsUntil, Stopwatch.GetTimestamp() + (long)(Rest.TotalSeconds * Stopwatch.Frequency));
        while (TryTake(out var work))
        {
            ThreadPool.UnsafeQueueUserWorkItem(work, preferLocal: false);
        }
    }

    /// <summary>For when there is no work any more; may be called on this thread.</summary>
    public void Dispose()
    {
        _ended = true;
        _wake.Release();
    }

    private void StartThread()
    {
        var thread = new Thread(Loop) { Name = _name, IsBackground = true };
        Volatile.Write(ref _thread, thread);
        thread.UnsafeStart();
    }

    private void Loop()
    {
        _current = this;
        while (true)
        {
            _wake.Wait();
            var number = Interlocked.Increment(ref _numbers);
            Volatile.Write(ref _atWork, number);
            while (TryTake(out var work))
            {
                _isRoundTrip = work is IRoundTrip;
                work.Execute();
                if (!TryGoOn(ref number, Interlocked.Increment(ref _numbers)))
                {
                    return;
                }

                Ambient.Drop(); // Whatever answers left here.
            }

            if (!TryGoOn(ref number, 0))
            {
                return;
            }

            if (_ended)
            {
                _impatience.Dispose();
                return;
            }

            Volatile.Write(ref _taken, 0);
        }
    }

    /// <summary>False when the work held this thread, and another has its place.</summary>
    private bool TryGoOn(ref long number, long next)
    {
        var over = Interlocked.CompareExchange(ref _atWork, next, number) == number;
        number = next;
        return over;
    }

    private bool TryTake([NotNullWhen(true)] out IThreadPoolWorkItem? work) => _next.TryDequeue(out work) || _waiting.TryDequeue(out work);

    private void Watch()
    {
        if (Interlocked.CompareExchange(ref _watched, 1, 0) == 0)
        {
            _impatience.Change(_patience, Timeout.InfiniteTimeSpan);
        }
    }

    private void Look()
    {
        Interlocked.Exchange(ref _watched, 0);
        var (seen, atWork) = (_seen, Volatile.Read(ref _atWork));
        _seen = atWork;
        if (atWork != 0 && atWork != seen)
        {
            Watch();
            return;
        }

        if (!_next.IsEmpty || !_waiting.IsEmpty)
        {
            HandOver();
        }

        if (atWork == 0 || _isRoundTrip)
        {
            return;
        }

        if (Interlocked.CompareExchange(ref _atWork, 0, atWork) == atWork)
        {
            _wake.Release();
            StartThread();
        }
        else
        {
            Watch(); // Over just now: another may be at work.
        }
    }
}
