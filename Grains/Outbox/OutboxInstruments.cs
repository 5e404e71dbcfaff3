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

    public static void Delivered(string destination) => Count(DeliveredCount, 1, destination);

    public static void Failed(string destination) => Count(FailedCount, 1, destination);

    public static void DeadLettered(string destination, int count) => Count(DeadCount, count, destination);

    private static void Count(Counter<long> counter, int count, string destination)
    {
        try
        {
            counter.Add(count, new KeyValuePair<string, object?>("destination", destination));
        }
        catch (Exception)
        {
            // A listener of the host's: it loses its count, and nothing else is lost.
        }
    }
}
