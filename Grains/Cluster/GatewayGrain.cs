using Actors.Wire;
using Orleans.Concurrency;

namespace Actors.Cluster;

/// <summary>What a client asks of the silo that it is connected to: it goes on as if it had been called here.</summary>
[StatelessWorker(maxLocalWorkers: 1), Reentrant]
internal sealed class GatewayGrain(SiloRoute route) : Grain, IGatewayGrain
{
    public Task<StartReply> StartAsync(string workflow, StartRequest request) => route.StartAsync(WorkflowId.FromGrainKey(workflow), request);

    public Task<WireError?> SignalAsync(string workflow, SignalRequest request) => route.SignalAsync(WorkflowId.FromGrainKey(workflow), request);

    public Task<ValueReply> QueryAsync(string workflow, QueryRequest request) => route.QueryAsync(WorkflowId.FromGrainKey(workflow), request);

    public Task<ResultReply> ResultAsync(string workflow, ResultRequest request) => route.ResultAsync(WorkflowId.FromGrainKey(workflow), request);
}
