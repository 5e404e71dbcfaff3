namespace Actors.Housekeeping;

/// <summary>Wakes the one who waits, at once or when he waits next; many before that count as one.</summary>
internal sealed class WakeSignal
{
    private readonly SemaphoreSlim _given = new(0, 1);

    public void Give()
    {
        try
        {
            _given.Release();
        }
        catch (SemaphoreFullException)
        {
            // One is enough.
        }
    }

    /// <summary>True: woken. False: so much time has passed.</summary>
    public Task<bool> TakeAsync(TimeSpan limit, CancellationToken stop) => _given.WaitAsync(limit, stop);
}
