using Actors.Execution;
using Actors.Storage;
using Actors.Wire;
using Orleans.Concurrency;

namespace Actors.Cluster;

/// <summary>
/// The address of one workflow: hands calls to this silo's engine. It is made by the first call that comes from elsewhere, where the run
/// is, and goes with the run. It holds no state, and decides nothing: two of them at once, which Orleans allows for a while, are sorted out
/// by the fence.
/// </summary>
[Reentrant, WithItsRun]
internal sealed class WorkflowGrain(WorkflowEngine engine, WorkflowCalls calls) : Grain, IWorkflowGrain
{
    private WorkflowId _id;
    private int _underWay;
    private ResidentRun? _followed;

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        _id = WorkflowId.FromGrainKey(this.GetPrimaryKeyString());
        return Task.CompletedTask;
    }

    public async Task<CallReply> CallAsync(WorkflowCall call)
    {
        var reply = calls.CallAsync(_id, call);
        await FollowAsync(reply);
        return await reply;
    }

    public Task WakeAsync() => FollowAsync((Task)Ambient.LeaveAsync(() => engine.WakeAsync(_id)));

    /// <summary>Without its run the grain would hold a place where the run need not be next.</summary>
    private async Task FollowAsync(Task call)
    {
        _underWay++;
        try
        {
            await call;
        }
        finally
        {
            _underWay--;
            Follow();
        }
    }

    private void Follow()
    {
        if (engine.Resident(_id) is not { } resident)
        {
            if (_underWay == 0)
            {
                DeactivateOnIdle();
            }
        }
        else if (resident != _followed)
        {
            _followed = resident;
            _ = LeaveWithAsync(resident);
        }
    }

    private async Task LeaveWithAsync(ResidentRun resident)
    {
        await resident.Left;
        Follow();
    }
}
