using Orleans.Concurrency;

namespace Actors.Wire;

/// <summary>
/// The mailbox of one workflow; the key is <c>namespace/id</c>. Errors that a caller can act on come back inside the replies, so that
/// callers of other versions understand them.
/// </summary>
[Alias("actors.IWorkflowGrain")]
internal interface IWorkflowGrain : IGrainWithStringKey
{
    [Alias("start")]
    Task<StartReply> StartAsync(StartRequest request);

    [Alias("signal")]
    Task<WireError?> SignalAsync(SignalRequest request);

    [Alias("query")]
    Task<ValueReply> QueryAsync(QueryRequest request);

    /// <summary>Answers when the run has ended, and with <c>Ended = false</c> after the caller's patience, or at once when the workflow
    /// moves.</summary>
    [Alias("result")]
    Task<ResultReply> ResultAsync(ResultRequest request);

    [Alias("status")]
    Task<StatusReply> StatusAsync();

    [Alias("resume")]
    Task<ValueReply> ResumeAsync(string requestId);

    /// <summary>Bring the workflow into memory if the database says that there is something to do, and read its mail.</summary>
    [Alias("wake"), OneWay]
    Task WakeAsync();
}
