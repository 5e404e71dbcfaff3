using System.Collections.Frozen;
using Actors.Calling;
using Microsoft.Extensions.DependencyInjection;

namespace Actors;

/// <summary>Which topics go to which destinations. Built at start; the first question seals it, and from then on it never
/// changes.</summary>
/// <remarks>A message keeps the destinations that its topic had at its commit. Rows of a destination that is no longer registered stay in
/// the outbox.</remarks>
public sealed class OutboxRoutes
{
    internal const int DestinationMax = 100;

    private readonly Dictionary<string, ServiceDescriptor> _sinks = new(StringComparer.Ordinal);
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
        ArgumentNullException.ThrowIfNull(sink);
        return Add(new ServiceDescriptor(typeof(IOutboxSink), destination, sink), destination, topics);
    }

    /// <summary>The same with a sink that the host's services go into: made once, at the start of the silo, and disposed of at its
    /// end.</summary>
    /// <param name="destination">1 to 100 characters; stored in each row, so a renamed destination leaves its old rows behind.</param>
    /// <param name="make">Gets the host's services. What it throws keeps the silo from starting.</param>
    /// <param name="topics">At least one; <c>"*"</c> is every topic.</param>
    /// <exception cref="ArgumentException">The destination is taken, or a name is empty, too long or holds control characters, or no topic
    /// is given.</exception>
    /// <exception cref="InvalidOperationException">The routes are in use already.</exception>
    public OutboxRoutes Add(string destination, Func<IServiceProvider, IOutboxSink> make, params string[] topics)
    {
        ArgumentNullException.ThrowIfNull(make);
        return Add(new ServiceDescriptor(typeof(IOutboxSink), destination, (services, _) => make(services), ServiceLifetime.Singleton),
            destination, topics);
    }

    private OutboxRoutes Add(ServiceDescriptor sink, string destination, string[] topics)
    {
        NameRule.Checked(destination, "The name of an outbox destination", DestinationMax);
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

    /// <summary>Each sink becomes a service, by the name of its destination.</summary>
    internal void Register(IServiceCollection services)
    {
        _sealed = true;
        foreach (var sink in _sinks.Values)
        {
            services.Add(sink);
        }
    }

    /// <summary>Every destination with its sink.</summary>
    /// <exception cref="InvalidOperationException">A sink takes fewer than 1 or more than 1,000 messages a call.</exception>
    internal IEnumerable<OutboxRoute> Sinks(IServiceProvider services) => _sinks.Keys.Select(destination =>
    {
        var sink = services.GetKeyedService<IOutboxSink>(destination)
            ?? throw new InvalidOperationException($"The sink of outbox destination '{destination}': its factory returned null.");
        return sink.BatchSizeMax is var size and >= 1 and <= 1_000 ? new OutboxRoute(destination, sink, size)
            : throw new InvalidOperationException($"The sink of outbox destination '{destination}': BatchSizeMax is 1 to 1,000.");
    });
}

/// <param name="BatchSizeMax">As the sink said at the start.</param>
internal sealed record OutboxRoute(string Destination, IOutboxSink Sink, int BatchSizeMax);
