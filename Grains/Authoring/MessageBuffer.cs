using Actors.Wire;

namespace Actors;

/// <summary>A message for the outbox, serialized, with the destinations that its topic had when it was published.</summary>
internal sealed record OutgoingMessage(string Topic, string Key, Payload Payload, IReadOnlyList<string> Destinations);

/// <summary>Collects what a body publishes until its result commits.</summary>
internal sealed class MessageBuffer(Func<string, string, object?, Type, OutgoingMessage> prepare)
{
    private readonly List<OutgoingMessage> _messages = [];

    internal IReadOnlyList<OutgoingMessage> Messages
    {
        get
        {
            lock (_messages)
            {
                return [.. _messages];
            }
        }
    }

    internal void Add<T>(string topic, string key, T message)
    {
        var prepared = prepare(topic, key, message, typeof(T));
        lock (_messages)
        {
            _messages.Add(prepared);
        }
    }
}
