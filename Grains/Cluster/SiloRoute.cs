using Actors.Calling;
using Actors.Execution;
using Actors.Wire;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace Actors.Cluster;

/// <summary>
/// For callers in this silo: a run in its memory is called without its grain between, under the time-out that a call of that has; any other
/// through its grain. A start stays here as long as <see cref="StartsHere"/> says so. The engine's waits, some of which many share, go on
/// whatever becomes of a caller's context. A caller's code goes on where the answer came: perhaps on the journal's own thread.
/// </summary>
internal sealed class SiloRoute(
    WorkflowEngine engine, WorkflowCalls calls, IGrainFactory grains, StartsHere starts, IOptions<SiloMessagingOptions> messaging)
        : IWorkflowRoute
{
    private readonly GrainRoute _grains = new(grains);
    private readonly TimeSpan _limit = messaging.Value.ResponseTimeout;

    public async Task<CallReply> CallAsync(WorkflowId id, WorkflowCall call) => call switch
    {
        StartCall start when !engine.IsStopping && starts.Next() =>
            await calls.StartHereAsync(id, start).WaitAsync(call.Limit ?? _limit) ?? await _grains.CallAsync(id, call),
        StartCall => await _grains.CallAsync(id, call),
        _ when engine.Resident(id) is null => await _grains.CallAsync(id, call),
        ResultCall => await calls.CallAsync(id, call),
        _ => await calls.CallAsync(id, call).WaitAsync(call.Limit ?? _limit),
    };
}
