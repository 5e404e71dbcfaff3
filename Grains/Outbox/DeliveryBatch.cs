using Actors.Storage;

namespace Actors.Outbox;

/// <summary>The messages of one call of a sink: of some lanes, one after the other, their next ones in order.</summary>
/// <param name="isRetry">Its lanes' next messages have failed before.</param>
internal sealed class DeliveryBatch(bool isRetry)
{
    private readonly List<(Lane Lane, OutboxRow Row, Exception? Unreadable)> _items = new(1);

    public bool IsRetry { get; } = isRetry;

    public int Count => _items.Count;

    /// <summary>After its outcomes: the lanes that have more to send, and none of whose messages failed.</summary>
    public List<Lane> GoOn { get; } = new(1);

    /// <summary>Takes of the lane what there is room for.</summary>
    public void Take(Lane lane, int countMax)
    {
        while (_items.Count < countMax && lane.Queue.TryDequeue(out var row))
        {
            _items.Add((lane, row, null));
        }
    }

    /// <summary>What the sink is given; empty where nothing can be read. A row that cannot be read is a failed attempt, and what stands
    /// behind it in its lane waits.</summary>
    public List<OutboxMessage> Read(Func<OutboxRow, OutboxMessage> read)
    {
        var messages = new List<OutboxMessage>(_items.Count);
        for (var i = 0; i < _items.Count; i++)
        {
            var (lane, row, _) = _items[i];
            try
            {
                messages.Add(read(row));
            }
            catch (Exception error)
            {
                _items[i] = (lane, row, error);
                while (i + 1 < _items.Count && _items[i + 1].Lane == lane)
                {
                    _items.RemoveAt(i + 1);
                }
            }
        }

        return messages;
    }

    /// <summary>How each attempt ended, a lane's in order. Behind a failure its lane's messages were not tried, whatever the sink says of
    /// them.</summary>
    /// <param name="of">The sink's word on a message, by its place in the call.</param>
    public IEnumerable<Outcome> Outcomes(Func<int, Exception?> of)
    {
        var (broken, place) = ((Lane?)null, 0);
        for (var i = 0; i < _items.Count; i++)
        {
            var (lane, row, unreadable) = _items[i];
            var error = unreadable ?? of(place++);
            if (lane != broken)
            {
                broken = error is null ? null : lane;
                var isLastHere = i + 1 == _items.Count || _items[i + 1].Lane != lane;
                if (error is null && isLastHere && lane.Queue.Count > 0)
                {
                    GoOn.Add(lane);
                }

                yield return new Outcome(lane, row, error, IsLast: error is not null || (isLastHere && lane.Queue.Count == 0));
            }
        }
    }
}
