using Actors.Wire;

namespace Actors.Calling;

/// <summary>Every call to the workflow's mailbox, wherever the cluster has it.</summary>
internal sealed class Mailboxes(IGrainFactory grains) : IWorkflowRoute
{
    private GrainReference? _like;

    /// <summary>The first reference is the pattern of the others: for each that it makes from a type Orleans looks that type up anew, by attributes and name.</summary>
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

    public Task<StartReply> StartAsync(WorkflowId id, StartRequest request) => Of(id).StartAsync(request);

    public Task<WireError?> SignalAsync(WorkflowId id, SignalRequest request) => Of(id).SignalAsync(request);

    public Task<ValueReply> QueryAsync(WorkflowId id, QueryRequest request) => Of(id).QueryAsync(request);

    public Task<ResultReply> ResultAsync(WorkflowId id, ResultRequest request) => Of(id).ResultAsync(request);
}
