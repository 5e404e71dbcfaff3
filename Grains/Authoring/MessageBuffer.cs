using Actors.Wire;

namespace Actors;

/// <summary>A message for the outbox, serialized, with the destinations that its topic had when it was published.</summary>
internal sealed record OutgoingMessage(string Topic, string Key, Payload Payload, IReadOnlyList<string> Destinations)
{
    /// <summary>Bytes of payload.</summary>
    internal static long SizeOf(IReadOnlyList<OutgoingMessage> messages)
    {
        long size = 0;
        for (var i = 0; i < messages.Count; i++)
        {
            size += messages[i].Payload.Size;
        }

        return size;
    }
}

/// <summary>Serializes a message and finds its destinations.</summary>
internal delegate OutgoingMessage MessagePreparer(string topic, string key, object? message, Type type);

/// <summary>Collects what a body publishes until its result commits.</summary>
internal sealed class MessageBuffer(MessagePreparer prepare)
{
    private readonly Lock _lock = new();
    private List<OutgoingMessage>? _messages;
    private bool _isClosed;

    /// <summary>What is to be committed. What comes later is refused.</summary>
    internal IReadOnlyList<OutgoingMessage> Close()
    {
        lock (_lock)
        {
            _isClosed = true;
            return _messages ?? [];
        }
    }

    internal void Add<T>(string topic, string key, T message)
    {
        var prepared = prepare(topic, key, message, typeof(T));
        lock (_lock)
        {
            if (_isClosed)
            {
                throw new InvalidOperationException(
                    $"The body has ended: what it publishes now ('{topic}') would be lost. Await what publishes.");
            }

            (_messages ??= []).Add(prepared);
        }
    }
}
