using Microsoft.Extensions.Logging;

namespace Actors.Execution;

internal sealed partial class WorkflowEngine
{
    [LoggerMessage(301, LogLevel.Information, "Workflow '{Id}' is in the memory of {Owner}; asking for it.")]
    private partial void LogAsking(WorkflowId id, string? owner);

    [LoggerMessage(302, LogLevel.Error, "Workflow '{Id}' is set aside: {Reason}")]
    private partial void LogSetAside(WorkflowId id, string reason);

    [LoggerMessage(303, LogLevel.Information, "Giving {Count} workflows away.")]
    private partial void LogDraining(int count);

    [LoggerMessage(304, LogLevel.Information, "Drained; {Count} workflows left in memory.")]
    private partial void LogDrained(int count);

    [LoggerMessage(306, LogLevel.Debug, "Workflow '{Id}' could not begin at its time ({Reason}); a sweep finds it.")]
    private partial void LogNotBegun(WorkflowId id, string reason);

    [LoggerMessage(305, LogLevel.Warning,
        "Workflow '{Id}' holds {What}, which only a later build understands: it is left alone until a silo that does takes it.")]
    private partial void LogLeftAlone(WorkflowId id, string what);
}
