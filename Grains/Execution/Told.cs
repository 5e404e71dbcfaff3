using Actors.Storage;

namespace Actors.Execution;

/// <summary>
/// An outcome that others wait for. They go on apart from whoever tells it: where that is an <see cref="OwnThread"/>, there, next; else on the
/// thread pool.
/// </summary>
internal sealed class Told<T> : IThreadPoolWorkItem
{
    private readonly TaskCompletionSource<T> _waiters = new();
    private T? _outcome;
    private Exception? _error;
    private int _isTold;

    public Task<T> Task => _waiters.Task;

    /// <summary>Nothing when it was told before, as for <see cref="Fail"/>.</summary>
    public void Tell(T outcome)
    {
        if (Interlocked.Exchange(ref _isTold, 1) == 0)
        {
            _outcome = outcome;
            OwnThread.GoNext(this);
        }
    }

    public void Fail(Exception error)
    {
        if (Interlocked.Exchange(ref _isTold, 1) == 0)
        {
            _error = error;
            OwnThread.GoNext(this);
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (_error is null)
        {
            _waiters.SetResult(_outcome!);
        }
        else
        {
            _waiters.SetException(_error);
            _ = _waiters.Task.Exception; // Perhaps nobody waits.
        }
    }
}
