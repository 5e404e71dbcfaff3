namespace Actors.Cluster;

/// <summary>
/// One time of day for all silos, the database's, whatever the clocks of their machines show: as this process last heard it, moved on by
/// the monotonic clock beneath. It never goes back: where the database's clock is set back, it goes a tenth slower until both agree.
/// </summary>
/// <remarks>
/// Orleans 10 compares times of day that different silos wrote, and schedules its membership by that of its last turn. With the machines'
/// own clocks, a silo that is ten minutes ahead declares dead who joins, and one that is set back by as much stops telling the others that
/// it lives.
/// </remarks>
internal sealed class ClusterClock(TimeProvider beneath) : TimeProvider
{
    private readonly Lock _lock = new();
    private DateTimeOffset _last = DateTimeOffset.MinValue;
    private long _lastAt;

    /// <summary>The database's time as far as it is known here; before the first answer, the time of day beneath is all there is.</summary>
    public Func<DateTimeOffset>? Database { get; set; }

    public override long TimestampFrequency => beneath.TimestampFrequency;

    public override TimeZoneInfo LocalTimeZone => beneath.LocalTimeZone;

    public override DateTimeOffset GetUtcNow()
    {
        var heard = Database?.Invoke() ?? DateTimeOffset.MinValue;
        if (heard == DateTimeOffset.MinValue)
        {
            return beneath.GetUtcNow();
        }

        lock (_lock)
        {
            var at = beneath.GetTimestamp();
            var slow = _lastAt == 0 ? heard : _last + (beneath.GetElapsedTime(_lastAt, at) * 0.9);
            (_last, _lastAt) = (heard > slow ? heard : slow, at);
            return _last;
        }
    }

    public override long GetTimestamp() => beneath.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        beneath.CreateTimer(callback, state, dueTime, period);
}
