using System.ComponentModel.DataAnnotations;

namespace Actors;

/// <summary>How the outbox relay of a silo delivers. Limits count per destination, so that one destination cannot take from
/// another.</summary>
public sealed class OutboxOptions
{
    /// <summary>Whether this silo delivers messages. False where other silos of the cluster do; a cluster in which none does keeps its
    /// messages.</summary>
    /// <value>Default true.</value>
    public bool Delivers { get; set; } = true;

    /// <summary>Most calls of a destination's sink that run at the same time, half of them (at least one) for messages that failed before.
    /// More raises throughput to slow sinks.</summary>
    /// <value>1 to 1,000. Default 32.</value>
    [Range(1, 1_000)]
    public int InFlightMax { get; set; } = 32;

    /// <summary>Most lanes (one for each key, and for each run that publishes without) of a destination that are held in memory, and that
    /// one read takes; beside them half as many that failed before.</summary>
    /// <value>2 to 10,000. Default 500.</value>
    [Range(2, 10_000)]
    public int PageSize { get; set; } = 500;

    /// <summary>Most messages of one lane that are held in memory: with <see cref="PageSize"/> it bounds the relay's memory.</summary>
    /// <value>1 to 1,000. Default 20.</value>
    [Range(1, 1_000)]
    public int ReadAhead { get; set; } = 20;

    /// <summary>How late a message may be whose commit in another process, or whose wake, was not noticed; one statement each
    /// time.</summary>
    /// <value>10 milliseconds to 1 hour. Default 1 second.</value>
    [Range(typeof(TimeSpan), "00:00:00.010", "01:00:00")]
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>A delivery that takes longer is a failed attempt; a sink's own time-out should be shorter.</summary>
    /// <value>10 milliseconds to 1 hour. Default 30 seconds.</value>
    [Range(typeof(TimeSpan), "00:00:00.010", "01:00:00")]
    public TimeSpan DeliveryTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Attempts after which a message becomes a dead letter, and its key goes on; until then it holds up the key for all
    /// workflows. With the default back-off twenty take about an hour.</summary>
    /// <value>1 to 10,000. Default 20.</value>
    [Range(1, 10_000)]
    public int AttemptsMax { get; set; } = 20;

    /// <summary>Back-off after the first failure; doubled by each further one, and of the result a random half to the whole.</summary>
    /// <value>1 millisecond to 1 hour. Default 500 milliseconds.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "01:00:00")]
    public TimeSpan BackOffFirst { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>No back-off is longer, and no <c>Retry-After</c> of a receiver is honoured beyond it.</summary>
    /// <value>1 millisecond to 1 day. Default 5 minutes.</value>
    [Range(typeof(TimeSpan), "00:00:00.001", "1.00:00:00")]
    public TimeSpan BackOffMax { get; set; } = TimeSpan.FromMinutes(5);
}
