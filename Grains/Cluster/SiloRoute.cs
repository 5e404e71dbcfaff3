using Actors.Calling;
using Actors.Execution;
using Actors.Wire;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace Actors.Cluster;

/// <summary>
/// For callers in this silo: a run in its memory is called without a mailbox between, under the time-out that a call of one has; any other through
/// its mailbox. A start stays here as long as <see cref="StartsHere"/> says so.
/// </summary>
internal sealed class SiloRoute(
    WorkflowEngine engine, WorkflowCalls calls, Mailboxes mailboxes, StartsHere starts, IOptions<SiloMessagingOptions> messaging) : IWorkflowRoute
{
    private readonly TimeSpan _limit = messaging.Value.ResponseTimeout;

    public async Task<StartReply> StartAsync(WorkflowId id, StartRequest request) =>
        (!engine.IsStopping && starts.Next() ? await calls.StartHereAsync(id, request).WaitAsync(_limit) : null)
        ?? await mailboxes.StartAsync(id, request);

    public Task<WireError?> SignalAsync(WorkflowId id, SignalRequest request) =>
        IsHere(id) ? calls.SignalAsync(id, request).WaitAsync(_limit) : mailboxes.SignalAsync(id, request);

    public Task<ValueReply> QueryAsync(WorkflowId id, QueryRequest request) =>
        IsHere(id) ? calls.QueryAsync(id, request).WaitAsync(_limit) : mailboxes.QueryAsync(id, request);

    public Task<ResultReply> ResultAsync(WorkflowId id, TimeSpan patience, string type) =>
        IsHere(id) ? calls.ResultAsync(id, patience, type) : mailboxes.ResultAsync(id, patience, type);

    private bool IsHere(WorkflowId id) => engine.Resident(id) is not null;
}
