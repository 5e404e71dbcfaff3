using Actors.Storage;

namespace Actors.Execution;

/// <summary>
/// An outcome that others wait for. They go on apart from whoever tells it and from each other: the first who asked next on the
/// <see cref="OwnThread"/>
/// where it is told, or on the thread pool when that is none, all others on the thread pool.
/// </summary>
internal sealed class Outcome<T> : IThreadPoolWorkItem
{
    private readonly TaskCompletionSource<T> _first = new();
    private readonly TaskCompletionSource<T> _others = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _asked;
    private T? _outcome;
    private Exception? _error;
    private int _isDone;

    /// <summary>For one waiter: whoever shares it would wait for what the other does then.</summary>
    public Task<T> Ask() => Interlocked.Exchange(ref _asked, 1) == 0 ? _first.Task : _others.Task;

    /// <summary>Nothing when it was told before, as for <see cref="Fail"/>.</summary>
    public void Tell(T outcome)
    {
        if (Interlocked.Exchange(ref _isDone, 1) == 0)
        {
            _outcome = outcome;
            OwnThread.GoNext(this);
        }
    }

    public void Fail(Exception error)
    {
        if (Interlocked.Exchange(ref _isDone, 1) == 0)
        {
            _error = error;
            OwnThread.GoNext(this);
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (_error is null)
        {
            _others.SetResult(_outcome!);
            _first.SetResult(_outcome!);
        }
        else
        {
            _others.SetException(_error);
            _first.SetException(_error);
            _ = (_others.Task.Exception, _first.Task.Exception); // Perhaps nobody waits.
        }
    }
}
