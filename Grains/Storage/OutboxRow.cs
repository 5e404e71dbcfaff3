using Actors.Wire;

namespace Actors.Storage;

/// <summary>A row of the outbox with what its message says about its workflow.</summary>
/// <param name="Lane">Made by the database: names, within a destination, what is delivered in order.</param>
/// <param name="Due">False: failed, and its back-off is not over.</param>
internal sealed record OutboxRow(
    long Id, long Lane, int Ordinal, short Attempts, bool Due, DateTimeOffset At, string Topic, string Key,
    Payload Payload, Guid Run, string Namespace, string Workflow, string Type);

/// <summary>A failed delivery on its way into the database.</summary>
internal sealed record OutboxFailure(OutboxRow Row, short Attempts, TimeSpan BackOff, string Reason);
