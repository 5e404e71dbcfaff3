using Actors.Storage;

namespace Actors.Outbox;

/// <summary>The next messages of one destination and key, or, without a key, of one run and destination, in order. One task sends them, one after the other.</summary>
/// <param name="isRetry">Its first message has failed before.</param>
internal sealed class Lane(long key, bool isRetry)
{
    public long Key { get; } = key;

    public short Partition => Storage.Partition.OfLane(Key);

    public bool IsRetry { get; } = isRetry;

    /// <summary>Filled while nothing is sent, then touched by the sending task alone.</summary>
    public Queue<OutboxRow> Queue { get; } = new();

    public Task Sending { get; set; } = Task.CompletedTask;
}

/// <summary>How one attempt ended.</summary>
/// <param name="Error">Null: acknowledged.</param>
/// <param name="IsLast">The lane sends nothing more until it is filled again.</param>
internal readonly record struct Outcome(Lane Lane, OutboxRow Row, Exception? Error, bool IsLast);
