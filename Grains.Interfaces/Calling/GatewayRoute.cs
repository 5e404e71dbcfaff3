using Actors.Wire;

namespace Actors.Calling;

/// <summary>For callers outside the cluster: the silo that a client is connected to looks whether it has the run, and asks the mailbox if not.</summary>
internal sealed class GatewayRoute(IGrainFactory grains) : IWorkflowRoute
{
    // A client has one gateway for each target: calls about one workflow go through one, and those about all through all.
    private const int Targets = 256;

    private readonly IGatewayGrain?[] _gateways = new IGatewayGrain?[Targets];

    public Task<StartReply> StartAsync(WorkflowId id, StartRequest request) => Gateway(id).StartAsync(id.GrainKey, request);

    public Task<WireError?> SignalAsync(WorkflowId id, SignalRequest request) => Gateway(id).SignalAsync(id.GrainKey, request);

    public Task<ValueReply> QueryAsync(WorkflowId id, QueryRequest request) => Gateway(id).QueryAsync(id.GrainKey, request);

    public Task<ResultReply> ResultAsync(WorkflowId id, ResultRequest request) => Gateway(id).ResultAsync(id.GrainKey, request);

    private IGatewayGrain Gateway(WorkflowId id)
    {
        var target = (uint)id.GetHashCode() % Targets;
        return _gateways[target] ??= grains.GetGrain<IGatewayGrain>(target);
    }
}
