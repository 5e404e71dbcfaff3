namespace Actors.Housekeeping;

/// <summary>
/// Leases that this silo has seen expired, and unchanged, look after look while it renewed its own: by its own clock, so that neither a
/// jump of the database's nor an outage for everybody makes anyone dead. A pause in the looks begins the watch anew.
/// </summary>
/// <param name="after">How long one must be seen like that.</param>
/// <param name="pause">Between two looks, from which on nothing was watched.</param>
internal sealed class ExpiredLeases(TimeSpan after, TimeSpan pause, TimeProvider time)
{
    private readonly Dictionary<Guid, (DateTimeOffset Until, long Since)> _seen = [];
    private long _lookedAt = time.GetTimestamp();

    /// <summary>Called with what each look found; returns those that have been seen long enough.</summary>
    public List<(Guid Id, string Address)> Dead(List<(Guid Id, string Address, DateTimeOffset Until)> expired)
    {
        var now = time.GetTimestamp();
        if (time.GetElapsedTime(_lookedAt, now) > pause)
        {
            _seen.Clear();
        }

        _lookedAt = now;
        foreach (var gone in _seen.Keys.Except(expired.Select(silo => silo.Id)).ToList())
        {
            _seen.Remove(gone);
        }

        var dead = new List<(Guid, string)>();
        foreach (var (id, address, until) in expired)
        {
            if (!_seen.TryGetValue(id, out var seen) || seen.Until != until)
            {
                _seen[id] = (until, now);
            }
            else if (time.GetElapsedTime(seen.Since, now) >= after)
            {
                dead.Add((id, address));
            }
        }

        return dead;
    }
}
