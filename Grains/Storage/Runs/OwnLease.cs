using System.Diagnostics;

namespace Actors.Storage;

/// <summary>
/// Whether this silo may still count as alive in the others' eyes. One that could not renew its lease takes no calls and begins no bodies:
/// its runs may be another's by now. What it has in memory stays, and the fence decides when the database answers again.
/// </summary>
internal sealed class OwnLease
{
    private long _until = long.MaxValue;

    private long _asked = Stopwatch.GetTimestamp();

    /// <summary>Since the last renewal.</summary>
    public TimeSpan Age => Stopwatch.GetElapsedTime(Volatile.Read(ref _asked));

    public bool IsLost => Stopwatch.GetTimestamp() > Volatile.Read(ref _until);

    /// <param name="asked">When the renewal was sent, by the process's own clock: the database counted from then on at the
    /// earliest.</param>
    public void Renewed(long asked, TimeSpan duration)
    {
        Volatile.Write(ref _asked, asked);
        Volatile.Write(ref _until, asked + (long)(duration.TotalSeconds * Stopwatch.Frequency));
    }
}
