using Actors.Storage;

namespace Actors.Outbox;

/// <summary>The next messages of one destination and key, or, without a key, of one run and destination, in order. At
/// most one call delivers of them at a time.</summary>
/// <param name="isRetry">Its first message has failed before.</param>
/// <param name="begin">It had nothing below this id when it was read.</param>
/// <param name="complete">Up to this id every message was visible, or gone, before the read.</param>
/// <param name="generation">Of the floor, before the read.</param>
internal sealed class Lane(long key, bool isRetry, long begin, long complete, long generation)
{
    private long _last;

    public long Key { get; } = key;

    public short Partition => Storage.Partition.Of(Key);

    public bool IsRetry { get; } = isRetry;

    /// <summary>Filled while nothing is sent, then touched by the sender alone.</summary>
    public Queue<OutboxRow> Queue { get; } = new();

    public long Begin { get; } = begin;

    public long Generation { get; } = generation;

    /// <summary>Once all that was queued is acknowledged, the lane has nothing below this id: the read showed every message up to the
    /// complete one.</summary>
    public long End => Math.Max(Begin, Math.Min(complete, _last) + 1);

    public void Enqueue(OutboxRow row)
    {
        Queue.Enqueue(row);
        _last = row.Id;
    }
}

/// <summary>How one attempt ended.</summary>
/// <param name="Error">Null: acknowledged.</param>
/// <param name="IsLast">The lane sends nothing more until it is filled again.</param>
internal readonly record struct Outcome(Lane Lane, OutboxRow Row, Exception? Error, bool IsLast);
