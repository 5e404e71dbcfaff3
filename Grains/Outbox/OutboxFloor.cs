using Actors.Storage;

namespace Actors.Outbox;

/// <summary>
/// An id below which a destination has no message and never will have: reads begin there. Under a snapshot that somebody holds, delivered
/// messages stay in the indexes, and every read from the beginning would walk over all of them.
/// </summary>
/// <remarks>
/// Why it is no cursor: an id is drawn by a transaction that has its number by then (the fence comes first). The relay has read a committed
/// row with id M; a look at the database that was sent later says X, the first transaction number not given out (a snapshot's xmax is
/// lower: it is the first after those that have ended). Whoever drew an id up to M has a number below X. Once a look says that all
/// transactions below X have ended, what it shows of the ids up to M is all there ever will be: the floor is the lowest of those that are
/// left, or M + 1. Ids only go up: messages that are driven again get new ones, and a sequence that Postgres recovers is not behind what
/// was committed. A standby that was promoted without the last commits may be, so another timeline begins anew.
/// </remarks>
internal sealed class OutboxFloor
{
    private readonly Lock _lock = new();
    private long _value;
    private long _complete; // Every message with an id up to this one is visible by now, or gone.
    private long _seen;
    private long _generation;
    private string? _timeline;
    private (long Seen, long Transaction)? _waiting;

    public long Value => Read().Floor;

    /// <summary>Take it before a read; what it says holds for that read, however late the read is.</summary>
    public (long Generation, long Floor, long Complete) Read()
    {
        lock (_lock)
        {
            return (_generation, _value, _complete);
        }
    }

    /// <summary>Where to go on in a lane that was read in this generation up to there; after a failed statement at the beginning.</summary>
    public long From(long generation, long id)
    {
        lock (_lock)
        {
            return generation == _generation ? Math.Max(id, _value) : _value;
        }
    }

    /// <summary>A committed row was read.</summary>
    public void Saw(long id)
    {
        lock (_lock)
        {
            _seen = Math.Max(_seen, id);
        }
    }

    /// <summary>Take it before the look is sent.</summary>
    public (long Generation, long Seen) BeginRead()
    {
        lock (_lock)
        {
            return (_generation, _seen);
        }
    }

    /// <param name="begun">What <see cref="BeginRead"/> gave before this look was sent.</param>
    public void Observe((long Generation, long Seen) begun, OutboxPending look)
    {
        lock (_lock)
        {
            if (_timeline is not null && _timeline != look.Timeline)
            {
                Forget();
            }

            if (begun.Generation != _generation)
            {
                return;
            }

            _timeline = look.Timeline;
            if (_waiting is not { } waiting)
            {
                _waiting = (begun.Seen, look.NextTransaction);
            }
            else if (look.OldestTransaction >= waiting.Transaction)
            {
                var floor = Math.Min(waiting.Seen + 1, look.LowestId ?? long.MaxValue);
                _value = Math.Max(_value, floor);
                _complete = waiting.Seen;
                _waiting = (begun.Seen, look.NextTransaction);
            }
        }
    }

    /// <summary>A statement failed: this may be another server soon.</summary>
    public void Forget()
    {
        lock (_lock)
        {
            _generation++;
            (_value, _seen, _complete, _timeline, _waiting) = (0, 0, 0, null, null);
        }
    }
}
