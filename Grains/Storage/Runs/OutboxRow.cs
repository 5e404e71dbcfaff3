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

/// <summary>What stands in the outbox for a destination, in one snapshot.</summary>
/// <param name="Fresh">There are rows that have not failed.</param>
/// <param name="Due">There are failed rows whose back-off is over.</param>
/// <param name="LowestId">Of all rows; null without any; with very many failed rows the floor as it was.</param>
/// <param name="OldestTransaction">Every transaction with a lower number has ended.</param>
/// <param name="NextTransaction">No transaction had this number yet.</param>
/// <param name="Timeline">Another one after a standby was promoted.</param>
internal sealed record OutboxPending(
    string Destination, bool Fresh, bool Due, long? LowestId, long OldestTransaction, long NextTransaction, string Timeline);
