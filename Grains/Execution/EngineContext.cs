using System.Collections.Concurrent;
using Actors.Calling;
using Actors.Programs;
using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>What every run in memory shares: the parts of the engine that it calls.</summary>
internal sealed record EngineContext(
    EngineDatabase Database,
    JournalWriter Journal,
    Claims Claims,
    RunTable Runs,
    Codes Codes,
    WorkflowTypes Types,
    PayloadSerializer Payloads,
    MessagePreparer Messages,
    DatabaseClock Clock,
    DueTimers Timers,
    TransactionSessions Sessions,
    IServiceScopeFactory Services,
    ILoggerFactory Loggers,
    ExecutionOptions Options,
    ReplayFindings Findings,
    TimeProvider Time)
{
    public OwnLease Lease { get; } = new();

    /// <summary>Runs that met faults of the engine here since they last got on: how often, and the last one's words.</summary>
    public ConcurrentDictionary<WorkflowId, (int Count, string Last)> Faults { get; } = new();
}
