using System.Diagnostics;

namespace Actors.Storage;

/// <summary>
/// Bounds what histories take of the memory while they are loaded: those that were read go on before more are read. Without it a silo that
/// takes over the large runs of a dead one, or has many that wake at once, would fill its heap with what it cannot run yet, and die of it.
/// </summary>
internal sealed class LoadBudget
{
    /// <summary>Bytes of histories read and not replayed, from which on no more are read.</summary>
    public const long Max = 32 * 1024 * 1024;

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10); // A replay that hangs holds up nobody for ever.

    private long _bytes;

    public long Bytes => Volatile.Read(ref _bytes);

    public async Task RoomAsync()
    {
        for (var began = Stopwatch.GetTimestamp(); Bytes >= Max && Stopwatch.GetElapsedTime(began) < Patience;)
        {
            await Task.Delay(Look);
        }
    }

    public void Take(long bytes) => Interlocked.Add(ref _bytes, bytes);

    public void Release(long bytes) => Interlocked.Add(ref _bytes, -bytes);
}
