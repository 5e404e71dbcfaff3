using Actors.Wire;
using Orleans.Concurrency;

namespace Actors.Cluster;

/// <summary>What a client asks of the silo that it is connected to: it goes on as if it had been called here.</summary>
[StatelessWorker(maxLocalWorkers: 1), Reentrant]
internal sealed class GatewayGrain(SiloRoute route) : Grain, IGatewayGrain
{
    public Task<CallReply> CallAsync(string workflow, WorkflowCall call) => route.CallAsync(WorkflowId.FromGrainKey(workflow), call);
}
