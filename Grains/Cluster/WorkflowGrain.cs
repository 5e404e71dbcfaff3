using Actors.Execution;
using Actors.Wire;
using Orleans.Concurrency;
using Orleans.Placement;

namespace Actors.Cluster;

/// <summary>
/// The mailbox of one workflow: finds its run in this silo's engine and hands calls on. It holds no state, and decides nothing: two of
/// them at once, which Orleans allows for a while, are sorted out by the fence.
/// </summary>
[Reentrant, ResourceOptimizedPlacement]
internal sealed class WorkflowGrain(WorkflowEngine engine) : Grain, IWorkflowGrain
{
    private WorkflowId _id;

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _id = WorkflowId.FromGrainKey(this.GetPrimaryKeyString());
        return Task.CompletedTask;
    }

    /// <summary>Best effort: if it does not get there, the next owner's claim does. Orleans deactivates workflows in the middle of their work, too: where the silo died that knew their place.</summary>
    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken) =>
        engine.ReleaseAsync(_id).WaitAsync(cancellationToken);

    public async Task<StartReply> StartAsync(StartRequest request)
    {
        try
        {
            var reply = await engine.StartAsync(_id, request);
            Follow();
            if (request.Signal is { } signal)
            {
                await engine.SignalAsync(_id, signal);
            }
            else if (!reply.Started)
            {
                await engine.OpenAsync(_id);
            }

            return reply;
        }
        catch (Exception error) when (ToWire(error) is { } known)
        {
            return new StartReply(known, default, false);
        }
    }

    public async Task<WireError?> SignalAsync(SignalRequest request)
    {
        try
        {
            await engine.SignalAsync(_id, request);
            Follow();
            return null;
        }
        catch (Exception error) when (ToWire(error) is { } known)
        {
            return known;
        }
    }

    public async Task<ValueReply> QueryAsync(QueryRequest request)
    {
        try
        {
            return new ValueReply(null, await engine.QueryAsync(_id, request));
        }
        catch (Exception error) when (ToWire(error) is { } known)
        {
            return new ValueReply(known, default);
        }
        catch (Exception error)
        {
            return new ValueReply(new WireError("QueryFailed", $"Query '{request.Name}' of workflow '{_id}' threw {error.GetType().Name}: {error.Message}"), default);
        }
    }

    public async Task<ResultReply> ResultAsync(TimeSpan patience, string? type)
    {
        try
        {
            var waiting = engine.ResultAsync(_id, patience < TimeSpan.FromSeconds(20) ? patience : TimeSpan.FromSeconds(20), type);
            Follow();
            return await waiting;
        }
        catch (Exception error) when (ToWire(error) is { } known)
        {
            return new ResultReply(known, false, default, null);
        }
    }

    public async Task<StatusReply> StatusAsync()
    {
        try
        {
            return await engine.StatusAsync(_id);
        }
        catch (Exception error) when (ToWire(error) is { } known)
        {
            return new StatusReply(known, false, default, "", 0, 0, 0, null, default, null, null);
        }
    }

    public async Task<ValueReply> ResumeAsync()
    {
        try
        {
            var resumed = await engine.ResumeAsync(_id);
            Follow();
            return new ValueReply(null, engine.Context.Payloads.Write(resumed, $"Reply to resume"));
        }
        catch (Exception error) when (ToWire(error) is { } known)
        {
            return new ValueReply(known, default);
        }
    }

    public async Task WakeAsync()
    {
        await engine.WakeAsync(_id);
        Follow();
    }

    /// <summary>A run that is in memory here keeps its mailbox here: Orleans would take a grain without calls for idle.</summary>
    private void Follow()
    {
        if (engine.Resident(_id) is { } resident && resident != _followed)
        {
            _followed = resident;
            DelayDeactivation(TimeSpan.FromDays(1));
            _ = DeactivateAfterAsync(resident);
        }
    }

    private WorkflowInstance? _followed;

    private async Task DeactivateAfterAsync(WorkflowInstance resident)
    {
        await resident.Left;
        if (engine.Resident(_id) is null)
        {
            DeactivateOnIdle();
        }
        else
        {
            Follow();
        }
    }

    private WireError? ToWire(Exception error)
    {
        if (error is MovedException { Fenced: true })
        {
            // Another silo has the run: this mailbox gives way, so that the next call finds the one there.
            DeactivateOnIdle();
        }

        return error switch
        {
            ActorsException known => WireErrors.From(known),
            _ when Storage.PostgresFaults.IsUnreachable(error) => new WireError(
                nameof(WorkflowUnavailableException), $"Workflow '{_id}': Postgres cannot be reached now. Repeat the call with the same ids."),
            Npgsql.PostgresException refusal when Storage.PostgresFaults.MayPass(refusal) => new WireError(
                nameof(WorkflowUnavailableException), $"Workflow '{_id}': Postgres refuses it now ({refusal.SqlState}: {refusal.MessageText}). Repeat the call with the same ids."),
            _ => null,
        };
    }
}
