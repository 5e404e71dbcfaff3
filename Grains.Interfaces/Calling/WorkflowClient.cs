using Actors.Wire;

namespace Actors.Calling;

/// <summary>Calls workflows over any Orleans grain factory: a silo's own, or a client connection's.</summary>
/// <param name="patience">How long one poll for a result waits in the silo; shorter than the response time-out of the connection.</param>
public sealed class WorkflowClient(IGrainFactory grains, PayloadSerializer payloads, TimeSpan patience) : IWorkflowClient
{
    public IWorkflowHandle<TContract> Get<TContract>(string id, string @namespace = WorkflowId.DefaultNamespace)
        where TContract : class, IWorkflow
    {
        var workflow = new WorkflowId(id, @namespace);
        return new WorkflowHandle<TContract>(workflow, grains.GetGrain<IWorkflowGrain>(workflow.GrainKey), payloads, patience);
    }
}
