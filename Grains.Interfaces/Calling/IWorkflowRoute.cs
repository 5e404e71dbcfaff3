using Actors.Wire;

namespace Actors.Calling;

/// <summary>
/// The way of a call to its workflow: through the silo that the caller is in (<c>SiloRoute</c>), the one that a client is connected to
/// (<see cref="GatewayRoute"/>), or the workflow's mailbox wherever it is (<see cref="Mailboxes"/>), which the other two end at when the run is not there.
/// </summary>
internal interface IWorkflowRoute
{
    Task<StartReply> StartAsync(WorkflowId id, StartRequest request);

    Task<WireError?> SignalAsync(WorkflowId id, SignalRequest request);

    Task<ValueReply> QueryAsync(WorkflowId id, QueryRequest request);

    Task<ResultReply> ResultAsync(WorkflowId id, ResultRequest request);
}
