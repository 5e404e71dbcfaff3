using Actors.Wire;

namespace Actors.Calling;

/// <summary>Every call to the workflow's grain, wherever the cluster has it.</summary>
internal sealed class GrainRoute(IGrainFactory grains) : IWorkflowRoute
{
    private GrainReference? _like;

    /// <summary>The first reference is the pattern of the others: for each that it makes from a type Orleans looks that type up anew, by
    /// attributes and name.</summary>
    public IWorkflowGrain Of(WorkflowId id)
    {
        if (_like is { } like)
        {
            return (IWorkflowGrain)grains.GetGrain(GrainId.Create(like.GrainId.Type, id.GrainKey), like.InterfaceType);
        }

        var grain = grains.GetGrain<IWorkflowGrain>(id.GrainKey);
        _like = grain as GrainReference;
        return grain;
    }

    public Task<CallReply> CallAsync(WorkflowId id, WorkflowCall call) => Of(id).CallAsync(call);
}
