using Actors.Storage;

namespace Actors.Execution;

/// <summary>What was found under an id: a run in memory, or the row of one that is not to be brought there, or nothing.</summary>
internal readonly record struct Opened(ResidentRun? Run, StoredRun? Row);
