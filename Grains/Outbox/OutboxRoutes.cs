using System.Collections.Frozen;
using Actors.Calling;

namespace Actors;

/// <summary>Which topics go to which destinations. Built at start; the first question seals it, and from then on it never
/// changes.</summary>
/// <remarks>A message keeps the destinations that its topic had at its commit. Rows of a destination that is no longer registered stay in
/// the outbox.</remarks>
public sealed class OutboxRoutes
{
    internal const int DestinationMax = 100;

    private readonly Dictionary<string, IOutboxSink> _sinks = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _topics = new(StringComparer.Ordinal);
    private readonly List<string> _everyTopic = [];
    private FrozenDictionary<string, string[]>? _destinations;
    private volatile bool _sealed;

    /// <summary>Sends these topics to this destination.</summary>
    /// <param name="destination">1 to 100 characters; stored in each row, so a renamed destination leaves its old rows behind.</param>
    /// <param name="topics">At least one; <c>"*"</c> is every topic.</param>
    /// <exception cref="ArgumentException">The destination is taken, or a name is empty, too long or holds control characters, or no topic
    /// is given.</exception>
    /// <exception cref="InvalidOperationException">The routes are in use already.</exception>
    public OutboxRoutes Add(string destination, IOutboxSink sink, params string[] topics)
    {
        NameRule.Checked(destination, "The name of an outbox destination", DestinationMax);
        ArgumentNullException.ThrowIfNull(sink);
        if (_sealed)
        {
            throw new InvalidOperationException(
                $"Outbox destination '{destination}' comes too late: add all destinations before the silo starts.");
        }

        if (topics.Length == 0)
        {
            throw new ArgumentException($"Outbox destination '{destination}': give at least one topic, or \"*\".");
        }

        Array.ForEach(topics, topic => NameRule.Checked(topic, $"A topic of outbox destination '{destination}'"));

        if (!_sinks.TryAdd(destination, sink))
        {
            throw new ArgumentException(
                $"Outbox destination '{destination}' is added twice: list all its topics in one call.", nameof(destination));
        }

        foreach (var topic in topics.Distinct(StringComparer.Ordinal))
        {
            if (topic == "*")
            {
                _everyTopic.Add(destination);
            }
            else if (!_topics.TryAdd(topic, [destination]))
            {
                _topics[topic].Add(destination);
            }
        }

        return this;
    }

    /// <summary>Each destination that a message of this topic goes to, once; empty where there is none.</summary>
    public IReadOnlyList<string> DestinationsFor(string topic)
    {
        _sealed = true;
        _destinations ??= _topics.ToFrozenDictionary(
            t => t.Key, t => t.Value.Union(_everyTopic, StringComparer.Ordinal).ToArray(), StringComparer.Ordinal);
        return _destinations.TryGetValue(topic, out var named) ? named : _everyTopic;
    }

    /// <summary>Every destination with its sink.</summary>
    public IEnumerable<(string Destination, IOutboxSink Sink)> Sinks
    {
        get
        {
            _sealed = true;
            return _sinks.Select(sink => (sink.Key, sink.Value));
        }
    }
}
