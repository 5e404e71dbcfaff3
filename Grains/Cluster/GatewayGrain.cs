using Actors.Calling;
using Actors.Wire;
using Orleans.Concurrency;

namespace Actors.Cluster;

/// <summary>What a client asks of the silo that it is connected to: answered here where the run is here, or can be, and by the workflow's mailbox where not.</summary>
[StatelessWorker(maxLocalWorkers: 1), Reentrant]
internal sealed class GatewayGrain(DirectCalls direct) : Grain, IGatewayGrain
{
    public async Task<StartReply> StartAsync(string workflow, StartRequest request) =>
        (direct.Start(WorkflowId.FromGrainKey(workflow), request) is { } made ? await made : null) ?? await Mailbox(workflow).StartAsync(request);

    public Task<WireError?> SignalAsync(string workflow, SignalRequest request) =>
        direct.Signal(WorkflowId.FromGrainKey(workflow), request) ?? Mailbox(workflow).SignalAsync(request);

    public Task<ValueReply> QueryAsync(string workflow, QueryRequest request) =>
        direct.Query(WorkflowId.FromGrainKey(workflow), request) ?? Mailbox(workflow).QueryAsync(request);

    public Task<ResultReply> ResultAsync(string workflow, TimeSpan patience, string type) =>
        direct.Result(WorkflowId.FromGrainKey(workflow), patience, type) ?? Mailbox(workflow).ResultAsync(patience, type);

    private IWorkflowGrain Mailbox(string workflow) => GrainFactory.GetGrain<IWorkflowGrain>(workflow);
}
