using System.ComponentModel;
using System.Data.Common;

namespace Actors;

/// <summary>Calls workflows, from inside a silo or from a client application. Tests of callers may put another in its place.</summary>
public interface IWorkflowClient
{
    /// <summary>A typed handle; nothing is read or written. The handle is light, and safe to share between threads.</summary>
    /// <param name="id">1 to 200 UTF-8 bytes without control characters.</param>
    /// <param name="namespace">1 to 100 UTF-8 bytes. Default: <c>default</c>.</param>
    /// <exception cref="InvalidWorkflowIdException">The id cannot name a workflow.</exception>
    /// <exception cref="ArgumentException">The contract cannot be one; the sentence names the member and the way out, as where a silo
    /// registers it.</exception>
    IWorkflowHandle<TContract> Get<TContract>(string id, string @namespace = WorkflowId.DefaultNamespace)
        where TContract : class, IWorkflow;

    /// <summary>Starts all of these workflows with the caller's own rows, or none: they exist when the caller's transaction commits, and
    /// silos take them up as they have room, beginning within a second. When this throws, the transaction is as it was before. Inputs are
    /// read as they are sent, some thousands at a time, so a million may come from a stream.</summary>
    /// <param name="inputs">Id and input of each. Ids are those of <see cref="Get"/>; one that exists as the same type is left as it is.
    /// They are read while those before them are written: what makes them may not use the transaction's connection.</param>
    /// <param name="transaction">Open transaction on the database that holds the workflows; Npgsql's.</param>
    /// <typeparam name="TInput">The contract's input type; another is an <see cref="ArgumentException"/>.</typeparam>
    /// <returns>How many were made.</returns>
    /// <exception cref="WorkflowTypeMismatchException">An id belongs to a workflow of another type.</exception>
    /// <exception cref="InvalidWorkflowIdException">An id cannot name a workflow.</exception>
    /// <exception cref="PayloadTooLargeException">An input exceeds the limit.</exception>
    Task<long> StartManyAsync<TContract, TInput>(
        IEnumerable<KeyValuePair<string, TInput>> inputs,
        DbTransaction transaction,
        string @namespace = WorkflowId.DefaultNamespace,
        CancellationToken cancellation = default)
        where TContract : class, IWorkflow;
}

/// <summary>One workflow, typed by its contract. Start and result take their types from <see cref="IWorkflow{TInput,TResult}"/>: see
/// <see cref="WorkflowHandleCalls"/>.</summary>
public interface IWorkflowHandle<out TContract>
    where TContract : class, IWorkflow
{
    /// <summary>Names the workflow that the calls are about.</summary>
    WorkflowId Id { get; }

    /// <summary>Returns after the signal's commit; it is delivered once, or kept and listed as undelivered when the run ends before
    /// it.</summary>
    /// <param name="call">Exactly one call of a method marked <see cref="SignalAttribute"/>; anything else is an
    /// <see cref="ArgumentException"/>.</param>
    /// <param name="messageId">A repeat with the same id changes nothing, also in a later run of the workflow, as long as the ids are kept
    /// (<c>KeepMessageIdsFor</c>). 1 to 200 characters (code points), well-formed and without control characters; another is an
    /// <see cref="ArgumentException"/>. Default: a new id, kept over the call's own retries; who
    /// cancels a call and means to repeat it gives an id.</param>
    /// <exception cref="WorkflowNotFoundException">There is no such workflow.</exception>
    /// <exception cref="WorkflowUnavailableException">Not answered in time: repeat the call with the exception's <c>RequestId</c> as
    /// <paramref name="messageId"/>.</exception>
    /// <exception cref="WorkflowEndedException">Its run has ended.</exception>
    /// <exception cref="PayloadTooLargeException">The arguments exceed the limit.</exception>
    Task SignalAsync(Func<TContract, Task> call, string? messageId = null, CancellationToken cancellation = default);

    /// <summary>Like <see cref="SignalAsync"/>, for a message that the workflow takes by topic with <c>Receive</c>.</summary>
    /// <param name="topic">Bound as a message id is.</param>
    Task SendAsync<TMessage>(string topic, TMessage message, string? messageId = null, CancellationToken cancellation = default);

    /// <summary>The query's value between two turns of the workflow, which need not be in memory; writes nothing. Works on ended runs
    /// too.</summary>
    /// <param name="query">Exactly one call of a method marked <see cref="QueryAttribute"/>, its result returned as it is: compute with
    /// what this method returns.</param>
    /// <exception cref="WorkflowNotFoundException">There is no such workflow.</exception>
    /// <exception cref="QueryFailedException">The query's own code threw.</exception>
    /// <exception cref="WorkflowCodeException">The run is not in memory, and the silo's code does not match its history.</exception>
    Task<TValue> QueryAsync<TValue>(Func<TContract, TValue> query, CancellationToken cancellation = default);

    /// <summary>The run's state in the database; null when there is no such workflow.</summary>
    Task<WorkflowView?> StatusAsync(CancellationToken cancellation = default);

    /// <summary>Opens a workflow that was set aside: it goes on where its journal ends. True when it was set aside, false when there was
    /// nothing to do.</summary>
    /// <param name="requestId">A repeat with the id of a call that resumed the workflow answers true, and resumes nothing again. As
    /// <c>messageId</c> of <see cref="SignalAsync"/>. Default: a new id, kept over the call's own retries.</param>
    Task<bool> ResumeAsync(string? requestId = null, CancellationToken cancellation = default);

    /// <summary>Asks the cluster to look at the workflow now: what a caller does after the commit of a transaction that started it. Losing
    /// the call costs at most a second.</summary>
    Task WakeAsync(CancellationToken cancellation = default);

    /// <summary>
    /// The same handle, whose start also delivers this signal. With a run that the start makes it is one commit, and the signal is handled
    /// before the first line of <c>RunAsync</c>; a run that the start finds gets it as by <see cref="SignalAsync"/> before the start
    /// returns. Where no run is started because an earlier one took a message of this id, the start answers with that run.
    /// </summary>
    /// <exception cref="InvalidOperationException">The handle has a signal: one start delivers one.</exception>
    IWorkflowHandle<TContract> WithSignal(Func<TContract, Task> call, string? messageId = null);

    /// <summary>The same handle for one run alone: its calls are about the workflow's latest run if that is this one, and else are answered
    /// as if there were none (<see cref="WorkflowNotFoundException"/>).</summary>
    /// <param name="run">Of <see cref="StartedRun"/> or <see cref="WorkflowView"/>.</param>
    IWorkflowHandle<TContract> Run(Guid run);

    /// <summary>What <see cref="WorkflowHandleCalls"/> calls with the types of the contract; call those.</summary>
    [EditorBrowsable(EditorBrowsableState.Never)]
    Task<StartedRun> StartUntypedAsync<TInput>(TInput input, StartOptions options, CancellationToken cancellation);

    /// <inheritdoc cref="StartUntypedAsync{TInput}(TInput, StartOptions, CancellationToken)"/>
    [EditorBrowsable(EditorBrowsableState.Never)]
    Task StartUntypedAsync<TInput>(TInput input, DbTransaction transaction, CancellationToken cancellation);

    /// <inheritdoc cref="StartUntypedAsync{TInput}(TInput, StartOptions, CancellationToken)"/>
    [EditorBrowsable(EditorBrowsableState.Never)]
    Task<TResult> ResultUntypedAsync<TResult>(CancellationToken cancellation);
}
