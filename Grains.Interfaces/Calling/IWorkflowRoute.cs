using Actors.Wire;

namespace Actors.Calling;

/// <summary>
/// The way of a call to its workflow: through the silo that the caller is in (<c>SiloRoute</c>), the one that a client is connected to
/// (<see cref="GatewayRoute"/>), or the workflow's grain wherever it is (<see cref="GrainRoute"/>), which the other two end at when the run
/// is not there.
/// </summary>
internal interface IWorkflowRoute
{
    Task<CallReply> CallAsync(WorkflowId id, WorkflowCall call);
}
