using Actors.Programs;
using Actors.Storage;

namespace Actors.Execution;

/// <summary>
/// What is to happen to one run, in its order, one thing at a time. This class says on which thread: whoever adds to an idle queue has it
/// handled, next on the <see cref="OwnThread"/> that it is on, else on the thread pool, or at once where nobody waits for the thread; what
/// is added meanwhile is handled by whoever is at it.
/// </summary>
internal sealed class WorkQueue(ResidentRun run, TimeProvider time) : IThreadPoolWorkItem
{
    private readonly Queue<Action> _work = new();
    private bool _handled; // Some thread is at it, or will be; under the lock of _work, as is the next one.
    private Attempt? _body;
    private bool _takesBody;
    private long _turnSince;
    private long _restSince = time.GetTimestamp();

    /// <summary>When the turn under way began, by the process's own clock; zero at rest. Tells one turn from the next.</summary>
    public long TurnSince => Volatile.Read(ref _turnSince);

    /// <summary>Since its last turn.</summary>
    public TimeSpan RestTime => time.GetElapsedTime(Volatile.Read(ref _restSince));

    /// <summary>Before <see cref="Begin"/>: handled first.</summary>
    public void AddFirst(Action work) => Enqueue(work);

    /// <summary>Called once.</summary>
    public void Begin() => OwnThread.GoNext(this);

    /// <summary>Handles the work after all that was added before it, apart from the caller.</summary>
    public void Add(Action work)
    {
        if (Enqueue(work))
        {
            OwnThread.GoNext(this);
        }
    }

    /// <summary>The same on this thread, unless another one handles work of the run just now, or this one has something of a caller's
    /// around it. For a thread whose own work is done.</summary>
    /// <param name="takesBody">Nothing waits for this thread: it may also run a body that the work gives out.</param>
    public void AddHere(Action work, bool takesBody = false)
    {
        if (!Enqueue(work))
        {
            return;
        }

        if (Ambient.IsNothing)
        {
            HandleAll(takesBody);
        }
        else
        {
            OwnThread.GoNext(this); // User code completed what a body awaited, and the body went on here, on the user's thread.
        }
    }

    /// <summary>Runs the body beside the run: on this thread when all work is handled, if it takes one (a thread less to wake), else on the
    /// thread pool.</summary>
    public void Run(Attempt body)
    {
        if (_takesBody && _body is null)
        {
            _body = body;
        }
        else
        {
            RunElsewhere(body);
        }
    }

    void IThreadPoolWorkItem.Execute() => HandleAll(takesBody: true);

    private bool Enqueue(Action work)
    {
        lock (_work)
        {
            _work.Enqueue(work);
            return !_handled && (_handled = true);
        }
    }

    private void HandleAll(bool takesBody)
    {
        _takesBody = takesBody;
        while (true)
        {
            Action? work;
            Attempt? body;
            lock (_work)
            {
                (body, _body) = (_body, null);
                if (!_work.TryDequeue(out work))
                {
                    _handled = false;
                }
            }

            if (work is null)
            {
                _ = body is null ? null : run.Effects.RunAsync(body);
                return;
            }

            if (body is not null)
            {
                RunElsewhere(body); // More has come: the body does not wait for it.
            }

            Volatile.Write(ref _turnSince, time.GetTimestamp());
            run.Handle(work);
            Volatile.Write(ref _turnSince, 0);
            Volatile.Write(ref _restSince, time.GetTimestamp());
        }
    }

    private void RunElsewhere(Attempt body) => _ = Task.Run(() => run.Effects.RunAsync(body));
}
