using Actors.Storage;

namespace Actors.Execution;

/// <summary>What was found under an id: a run in memory, or the row of one that is not to be brought there, or nothing.</summary>
/// <param name="NotMine">Why another silo must go on with it, though none has it in memory; null for all others.</param>
internal readonly record struct Opened(ResidentRun? Run, StoredRun? Row, string? NotMine = null)
{
    /// <summary>It goes on, and is in the memory of another silo.</summary>
    public bool IsElsewhere => this is { Run: null, NotMine: null, Row.Status: WorkflowStatus.Running };
}
