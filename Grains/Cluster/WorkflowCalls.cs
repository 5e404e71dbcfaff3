using Actors.Execution;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Cluster;

/// <summary>What callers ask of a workflow, done by this silo's engine. Errors that they can act on come back inside the replies.</summary>
internal sealed class WorkflowCalls(WorkflowEngine engine)
{
    private static readonly TimeSpan PatienceMax = TimeSpan.FromSeconds(20);

    public async Task<CallReply> CallAsync(WorkflowId id, WorkflowCall call) => (await AnswerAsync(id, call, () => DoAsync(id, call)))!;

    /// <summary>A start from where an older run may not be: null when there is one, and it is not in memory here.</summary>
    public Task<CallReply?> StartHereAsync(WorkflowId id, StartCall call) =>
        AnswerAsync(id, call, () => StartAsync(id, call, fetch: false));

    private async Task<CallReply?> DoAsync(WorkflowId id, WorkflowCall call)
    {
        switch (call)
        {
            case StartCall start:
                return await StartAsync(id, start, fetch: true);
            case SignalCall signal:
                await engine.SignalAsync(id, signal);
                return new CallReply(null);
            case QueryCall query:
                return new ValueReply(null, await engine.QueryAsync(id, query));
            case ResultCall result:
                return await engine.ResultAsync(id, result.Limit < PatienceMax ? result : result with { Limit = PatienceMax });
            case StatusCall status:
                return await engine.StatusAsync(id, status);
            case ResumeCall resume:
                return new ValueReply(null, engine.Context.Payloads.Write(await engine.ResumeAsync(id, resume), $"Reply to resume"));
            default:
                throw new WorkflowUnavailableException(
                    $"Workflow '{id}': this silo does not know {call.GetType().Name}: it is older than its caller.");
        }
    }

    private async Task<CallReply?> StartAsync(WorkflowId id, StartCall call, bool fetch)
    {
        while (true)
        {
            var reply = await engine.StartAsync(id, call);
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
                await (call.Signal is { } signal ? engine.SignalAsync(id, signal) : engine.OpenAsync(id));
                return reply;
            }
            catch (WorkflowEndedException) when (call.Policy == StartPolicy.StartNew)
            {
                // The run that was found ended before it heard the signal: the next one is told.
            }
        }
    }

    private Task<CallReply?> AnswerAsync(WorkflowId id, WorkflowCall call, Func<Task<CallReply?>> answer) =>
        CallTracing.AroundAsync(id, call, () => AnswerAsync(id, answer));

    private async Task<CallReply?> AnswerAsync(WorkflowId id, Func<Task<CallReply?>> answer)
    {
        if (engine.Context.Lease.IsLost)
        {
            return new CallReply(new WireError(
                nameof(WorkflowUnavailableException),
                $"Workflow '{id}': this silo cannot reach Postgres, and others may take its runs. Repeat the call with the same ids."));
        }

        try
        {
            return await Ambient.LeaveAsync(answer).ConfigureAwait(false);
        }
        catch (Exception error) when (ToWire(id, error) is { } known)
        {
            return new CallReply(known);
        }
    }

    private static WireError? ToWire(WorkflowId id, Exception error) => error switch
    {
        ActorsException known => WireErrors.From(known),
        _ when PostgresFaults.IsUnreachable(error) => new WireError(
            nameof(WorkflowUnavailableException), $"Workflow '{id}': Postgres cannot be reached now. Repeat the call with the same ids."),
        _ when PostgresFaults.PassingRefusal(error) is { } refusal => new WireError(
            nameof(WorkflowUnavailableException),
            $"Workflow '{id}': Postgres refuses it now ({refusal}). Repeat the call with the same ids."),
        _ => null,
    };
}
