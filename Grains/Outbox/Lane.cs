using Actors.Storage;

namespace Actors.Outbox;

/// <summary>The next messages of one run, destination and key, in order. One task sends them, one after the other.</summary>
/// <param name="isRetry">Its first message has failed before.</param>
internal sealed class Lane(LaneKey key, short partition, bool isRetry)
{
    public LaneKey Key { get; } = key;

    public short Partition { get; } = partition;

    public bool IsRetry { get; } = isRetry;

    /// <summary>Filled while nothing is sent, then touched by the sending task alone.</summary>
    public Queue<OutboxRow> Queue { get; } = new();

    public Task Sending { get; set; } = Task.CompletedTask;
}

/// <summary>How one attempt ended.</summary>
/// <param name="Error">Null: acknowledged.</param>
/// <param name="IsLast">The lane sends nothing more until it is filled again.</param>
internal readonly record struct Outcome(Lane Lane, OutboxRow Row, Exception? Error, bool IsLast);
