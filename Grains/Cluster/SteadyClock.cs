namespace Actors.Cluster;

/// <summary>
/// A time of day that never goes back, for what reckons with it where it should count: when the clock beneath is set back, this one goes a tenth
/// slower until both agree. It is never behind that clock.
/// </summary>
/// <remarks>
/// Orleans 10 schedules its membership by the time of day of its last turn. A machine's clock that was ten minutes ahead and is set right again would
/// stop for as long what tells the others that the silo lives, and what tells it which silos there are.
/// </remarks>
internal sealed class SteadyClock(TimeProvider beneath) : TimeProvider
{
    private readonly Lock _lock = new();
    private DateTimeOffset _last = beneath.GetUtcNow();
    private long _lastAt = beneath.GetTimestamp();

    public override long TimestampFrequency => beneath.TimestampFrequency;

    public override TimeZoneInfo LocalTimeZone => beneath.LocalTimeZone;

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock)
        {
            var (now, at) = (beneath.GetUtcNow(), beneath.GetTimestamp());
            var slow = _last + (beneath.GetElapsedTime(_lastAt, at) * 0.9);
            (_last, _lastAt) = (now > slow ? now : slow, at);
            return _last;
        }
    }

    public override long GetTimestamp() => beneath.GetTimestamp();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => beneath.CreateTimer(callback, state, dueTime, period);
}
