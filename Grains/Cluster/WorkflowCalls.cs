using Actors.Execution;
using Actors.Storage;
using Actors.Wire;
using Npgsql;

namespace Actors.Cluster;

/// <summary>What callers ask of a workflow, done by this silo's engine. Errors that they can act on come back inside the replies.</summary>
internal sealed class WorkflowCalls(WorkflowEngine engine)
{
    private static readonly TimeSpan PatienceMax = TimeSpan.FromSeconds(20);

    public async Task<StartReply> StartAsync(WorkflowId id, StartRequest request) => (await StartAsync(id, request, fetch: true))!;

    /// <summary>The same from where an older run may not be: null when there is one, and it is not in memory here.</summary>
    public Task<StartReply?> StartHereAsync(WorkflowId id, StartRequest request) => StartAsync(id, request, fetch: false);

    private Task<StartReply?> StartAsync(WorkflowId id, StartRequest request, bool fetch) => AnswerAsync<StartReply?>(
        id,
        async () =>
        {
            while (true)
            {
                var reply = await engine.StartAsync(id, request);
                if (reply.Started)
                {
                    return reply;
                }

                if (engine.Resident(id) is null && !fetch)
                {
                    return null;
                }

                try
                {
                    await (request.Signal is { } signal ? engine.SignalAsync(id, signal) : engine.OpenAsync(id));
                    return reply;
                }
                catch (WorkflowEndedException) when (request.Policy == StartPolicy.StartNew)
                {
                    // The run that was found ended before it heard the signal: the next one is told.
                }
            }
        },
        error => new StartReply(error, default, false));

    public Task<WireError?> SignalAsync(WorkflowId id, SignalRequest request) => AnswerAsync<WireError?>(
        id,
        async () =>
        {
            await engine.SignalAsync(id, request);
            return null;
        },
        error => error);

    public Task<ValueReply> QueryAsync(WorkflowId id, QueryRequest request) => AnswerAsync(
        id,
        async () => new ValueReply(null, await engine.QueryAsync(id, request)),
        error => new ValueReply(error, default));

    public Task<ResultReply> ResultAsync(WorkflowId id, ResultRequest request) => AnswerAsync(
        id,
        () => engine.ResultAsync(id, request.Patience < PatienceMax ? request : request with { Patience = PatienceMax }),
        error => new ResultReply(error, false, default, null));

    public Task<StatusReply> StatusAsync(WorkflowId id) => AnswerAsync(
        id,
        () => engine.StatusAsync(id),
        error => new StatusReply(error, false, default, "", 0, 0, 0, null, default, null, null, []));

    public Task<ValueReply> ResumeAsync(WorkflowId id, string requestId) => AnswerAsync(
        id,
        async () => new ValueReply(null, engine.Context.Payloads.Write(await engine.ResumeAsync(id, requestId), $"Reply to resume")),
        error => new ValueReply(error, default));

    private async Task<T> AnswerAsync<T>(WorkflowId id, Func<Task<T>> call, Func<WireError, T> refuse)
    {
        if (engine.Context.Lease.IsLost)
        {
            return refuse(new WireError(
                nameof(WorkflowUnavailableException),
                $"Workflow '{id}': this silo cannot reach Postgres, and others may take its runs. Repeat the call with the same ids."));
        }

        try
        {
            return await Ambient.LeaveAsync(call).ConfigureAwait(false);
        }
        catch (Exception error) when (ToWire(id, error) is { } known)
        {
            return refuse(known);
        }
    }

    private static WireError? ToWire(WorkflowId id, Exception error) => error switch
    {
        ActorsException known => WireErrors.From(known),
        _ when PostgresFaults.IsUnreachable(error) => new WireError(
            nameof(WorkflowUnavailableException), $"Workflow '{id}': Postgres cannot be reached now. Repeat the call with the same ids."),
        PostgresException refusal when PostgresFaults.MayPass(refusal) => new WireError(
            nameof(WorkflowUnavailableException), $"Workflow '{id}': Postgres refuses it now ({refusal.SqlState}: {refusal.MessageText}). Repeat the call with the same ids."),
        _ => null,
    };
}
