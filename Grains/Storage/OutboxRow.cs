using Actors.Wire;

namespace Actors.Storage;

/// <summary>A row of the outbox with what its message says about its workflow.</summary>
/// <param name="Due">False: failed, and its back-off is not over.</param>
internal sealed record OutboxRow(
    long Id, LaneKey Lane, int Ordinal, short Partition, short Attempts, bool Due, DateTimeOffset At, string Topic, string Key,
    Payload Payload, Guid Run, string Namespace, string Workflow, string Type);

/// <summary>Names what is delivered in order: the messages of one run for one destination and key.</summary>
/// <param name="Lane">Hash of destination and key, made by the database.</param>
internal readonly record struct LaneKey(long Instance, long Lane);

/// <summary>A failed delivery on its way into the database.</summary>
internal sealed record OutboxFailure(OutboxRow Row, short Attempts, TimeSpan BackOff, string Reason);
