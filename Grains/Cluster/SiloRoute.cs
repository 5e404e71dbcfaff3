using Actors.Calling;
using Actors.Execution;
using Actors.Wire;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace Actors.Cluster;

/// <summary>
/// For callers in this silo: a run in its memory is called without a mailbox between, under the time-out that a call of one has; any other through
/// its mailbox. A start stays here as long as <see cref="StartsHere"/> says so. The engine's waits, some of which many share, go on whatever becomes of a
/// caller's context. A caller's code goes on where the answer came: perhaps on the journal's own thread.
/// </summary>
internal sealed class SiloRoute(
    WorkflowEngine engine, WorkflowCalls calls, IGrainFactory grains, StartsHere starts, IOptions<SiloMessagingOptions> messaging) : IWorkflowRoute
{
    private readonly Mailboxes _mailboxes = new(grains);
    private readonly TimeSpan _limit = messaging.Value.ResponseTimeout;

    public async Task<StartReply> StartAsync(WorkflowId id, StartRequest request)
    {
        if (engine.IsStopping || !starts.Next())
        {
            return await _mailboxes.StartAsync(id, request);
        }

        var reply = await calls.StartHereAsync(id, request).WaitAsync(_limit);
        return reply ?? await _mailboxes.StartAsync(id, request);
    }

    public Task<WireError?> SignalAsync(WorkflowId id, SignalRequest request) =>
        IsHere(id) ? calls.SignalAsync(id, request).WaitAsync(_limit) : _mailboxes.SignalAsync(id, request);

    public Task<ValueReply> QueryAsync(WorkflowId id, QueryRequest request) =>
        IsHere(id) ? calls.QueryAsync(id, request).WaitAsync(_limit) : _mailboxes.QueryAsync(id, request);

    public Task<ResultReply> ResultAsync(WorkflowId id, ResultRequest request) =>
        IsHere(id) ? calls.ResultAsync(id, request) : _mailboxes.ResultAsync(id, request);

    private bool IsHere(WorkflowId id) => engine.Resident(id) is not null;
}
