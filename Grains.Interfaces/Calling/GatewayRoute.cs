using Actors.Wire;

namespace Actors.Calling;

/// <summary>For callers outside the cluster: the silo that a client is connected to looks whether it has the run, and asks the workflow's
/// grain if not.</summary>
internal sealed class GatewayRoute(IGrainFactory grains) : IWorkflowRoute
{
    // A client has one gateway for each target: calls about one workflow go through one, and those about all through all.
    private const int Targets = 256;

    private readonly IGatewayGrain?[] _gateways = new IGatewayGrain?[Targets];

    public Task<CallReply> CallAsync(WorkflowId id, WorkflowCall call)
    {
        var target = (uint)id.GetHashCode() % Targets;
        var gateway = _gateways[target] ??= grains.GetGrain<IGatewayGrain>(target);
        return gateway.CallAsync(id.GrainKey, call);
    }
}
