using Actors.Wire;

namespace Actors.Calling;

/// <summary>The silo that a caller is in, or is connected to, asked without a mailbox between. Each call gives null where the mailbox must be asked.</summary>
internal interface IDirectCalls
{
    /// <summary>Null also in the end when the id is taken by a run that may be elsewhere.</summary>
    Task<StartReply?>? Start(WorkflowId id, StartRequest request);

    Task<WireError?>? Signal(WorkflowId id, SignalRequest request);

    Task<ValueReply>? Query(WorkflowId id, QueryRequest request);

    Task<ResultReply>? Result(WorkflowId id, TimeSpan patience, string type);
}
