using Actors.Calling;
using Actors.Execution;
using Actors.Wire;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace Actors.Cluster;

/// <summary>The runs in this silo's memory, for callers in this silo, under the time-out that a call of a mailbox has.</summary>
internal sealed class DirectCalls(WorkflowEngine engine, WorkflowCalls calls, StartsHere starts, IOptions<SiloMessagingOptions> messaging) : IDirectCalls
{
    private readonly TimeSpan _limit = messaging.Value.ResponseTimeout;

    public Task<StartReply?>? Start(WorkflowId id, StartRequest request) =>
        !engine.IsStopping && starts.Next() ? calls.StartHereAsync(id, request).WaitAsync(_limit) : null;

    public Task<WireError?>? Signal(WorkflowId id, SignalRequest request) =>
        engine.Resident(id) is null ? null : calls.SignalAsync(id, request).WaitAsync(_limit);

    public Task<ValueReply>? Query(WorkflowId id, QueryRequest request) =>
        engine.Resident(id) is null ? null : calls.QueryAsync(id, request).WaitAsync(_limit);

    public Task<ResultReply>? Result(WorkflowId id, TimeSpan patience, string type) =>
        engine.Resident(id) is null ? null : calls.ResultAsync(id, patience, type);
}
