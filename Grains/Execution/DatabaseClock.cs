namespace Actors.Execution;

/// <summary>
/// The database's time as this process last heard it, moved on by the local monotonic clock. Never ahead of the database by more than
/// the drift since then; the database checks every timer again when it fires.
/// </summary>
internal sealed class DatabaseClock(TimeProvider time)
{
    private static readonly TimeSpan Trust = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private DateTimeOffset _observed = DateTimeOffset.MinValue;
    private long _observedAt;

    /// <summary>Raised when the database's clock was moved ahead of what was expected by more than a second.</summary>
    public event Action? Jumped;

    public DateTimeOffset Now
    {
        get
        {
            lock (_lock)
            {
                return _observed == DateTimeOffset.MinValue ? _observed : _observed + time.GetElapsedTime(_observedAt);
            }
        }
    }

    /// <summary>Takes the database's word that a timer is not due yet: its clock was moved back.</summary>
    public void Correct(DateTimeOffset now)
    {
        lock (_lock)
        {
            (_observed, _observedAt) = (now, time.GetTimestamp());
        }
    }

    /// <summary>Takes a time that a statement just returned. The answer took time to arrive, so of several the latest estimate is the
    /// best.</summary>
    public void Observe(DateTimeOffset now)
    {
        TimeSpan ahead;
        lock (_lock)
        {
            var estimate = _observed == DateTimeOffset.MinValue ? _observed : _observed + time.GetElapsedTime(_observedAt);
            ahead = now - estimate;
            if (now < estimate && time.GetElapsedTime(_observedAt) < Trust)
            {
                return;
            }

            (_observed, _observedAt) = (now, time.GetTimestamp());
        }

        if (ahead > TimeSpan.FromSeconds(1))
        {
            Jumped?.Invoke();
        }
    }
}
