using System.Diagnostics.Metrics;

namespace Actors.Outbox;

/// <summary>What the relay counts, per destination, in meter <c>Actors</c>.</summary>
internal static class OutboxInstruments
{
    private static readonly Meter Meter = new("Actors");
    private static readonly Counter<long> DeliveredCount = Meter.CreateCounter<long>(
        "actors.outbox.delivered", "{message}", "Acknowledged by the sink");
    private static readonly Counter<long> FailedCount = Meter.CreateCounter<long>(
        "actors.outbox.failed", "{attempt}", "Attempts that failed");
    private static readonly Counter<long> DeadCount = Meter.CreateCounter<long>("actors.outbox.dead_lettered", "{message}", "Given up");

    public static void Delivered(string destination) => DeliveredCount.Add(1, Tag(destination));

    public static void Failed(string destination) => FailedCount.Add(1, Tag(destination));

    public static void DeadLettered(string destination, int count) => DeadCount.Add(count, Tag(destination));

    private static KeyValuePair<string, object?> Tag(string destination) => new("destination", destination);
}
