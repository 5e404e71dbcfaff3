using Actors.Storage;

namespace Actors.Outbox;

/// <summary>The messages of one call of a sink: of some lanes, one after the other, their next ones in order. One worker has it, call after
/// call.</summary>
internal sealed class DeliveryBatch
{
    private readonly List<(Lane Lane, OutboxRow Row, Exception? Unreadable)> _items = new(1);
    private readonly List<Outcome> _outcomes = new(1);

    /// <summary>Its lanes' next messages have failed before.</summary>
    public bool IsRetry { get; set; }

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

    public void Clear()
    {
        _items.Clear();
        _outcomes.Clear();
        GoOn.Clear();
    }

    /// <summary>What the sink is given, and may keep; empty where nothing can be read. A row that cannot be read is a failed attempt, and
    /// what stands behind it in its lane waits.</summary>
    public OutboxMessage[] Read(Func<OutboxRow, OutboxMessage> read)
    {
        var (messages, count) = (new OutboxMessage[_items.Count], 0);
        for (var i = 0; i < _items.Count; i++)
        {
            var (lane, row, _) = _items[i];
            try
            {
                messages[count] = read(row);
                count++;
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

        return count == messages.Length ? messages : messages[..count];
    }

    /// <summary>How each attempt ended, a lane's in order. Behind a failure its lane's messages were not tried, whatever the sink says of
    /// them.</summary>
    /// <param name="said">The sink's word on each message that it was given.</param>
    /// <param name="failure">Of the whole call, and then there are no words.</param>
    public List<Outcome> Outcomes(DeliveryOutcome[] said, Exception? failure)
    {
        var (broken, place) = ((Lane?)null, 0);
        for (var i = 0; i < _items.Count; i++)
        {
            var (lane, row, unreadable) = _items[i];
            var error = unreadable ?? failure ?? said[place++].Error;
            if (lane == broken)
            {
                continue;
            }

            broken = error is null ? null : lane;
            var isLastHere = i + 1 == _items.Count || _items[i + 1].Lane != lane;
            if (error is null && isLastHere && lane.Queue.Count > 0)
            {
                GoOn.Add(lane);
            }

            _outcomes.Add(new Outcome(lane, row, error, IsLast: error is not null || (isLastHere && lane.Queue.Count == 0)));
        }

        return _outcomes;
    }
}
