using Orleans.Concurrency;

namespace Actors.Wire;

/// <summary>
/// The address of one workflow; the key is <c>namespace/id</c>. Errors that a caller can act on come back inside the replies, so that
/// callers of other versions understand them.
/// </summary>
[Alias("actors.IWorkflowGrain")]
internal interface IWorkflowGrain : IGrainWithStringKey
{
    [Alias("call")]
    Task<CallReply> CallAsync(WorkflowCall call);

    /// <summary>Bring the workflow into memory if the database says that there is something to do, and read its inbox.</summary>
    [Alias("wake"), OneWay]
    Task WakeAsync();
}
