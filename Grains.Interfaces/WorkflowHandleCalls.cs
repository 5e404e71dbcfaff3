using System.Data.Common;

namespace Actors;

/// <summary>The calls of a handle whose types come from the contract.</summary>
public static class WorkflowHandleCalls
{
    /// <summary>Returns after the commit that holds the run; repeating it with the same id attaches to that run.</summary>
    /// <param name="requestId">Of a start with <see cref="StartPolicy.Reject"/> or <see cref="StartPolicy.StartNew"/>: a repeat with the
    /// same id answers with the run that the first one made, and makes no other; one that found a run made none, and is asked anew, unless
    /// that run took its signal. 1 to 200 characters without control characters. Default: a new id, kept over the call's own retries. With
    /// <see cref="StartPolicy.Attach"/> the workflow's id is enough for the run, and this is the message id of a signal without
    /// one.</param>
    /// <exception cref="WorkflowUnavailableException">Not answered in time: repeat the call with the exception's <c>RequestId</c>, as
    /// <paramref name="requestId"/>, or where the start attaches as the signal's message id.</exception>
    /// <exception cref="WorkflowTypeMismatchException">The id belongs to a workflow of another type.</exception>
    /// <exception cref="WorkflowExistsException">The id is taken and <paramref name="policy"/> rejects that.</exception>
    /// <exception cref="UnknownWorkflowTypeException">The silo that was asked does not know the contract.</exception>
    /// <exception cref="PayloadTooLargeException">The input exceeds the limit.</exception>
    public static Task<StartedRun> StartAsync<TInput, TResult>(
        this IWorkflowHandle<IWorkflow<TInput, TResult>> workflow,
        TInput input,
        StartPolicy policy = StartPolicy.Attach,
        string? requestId = null,
        CancellationToken cancellation = default) =>
        workflow.StartAsync(input, policy, requestId, cancellation);

    /// <summary>
    /// Commits the start with the caller's own rows or not at all. Runs at once when the caller nudges after its commit
    /// (<see cref="IWorkflowHandle{TContract}.NudgeAsync"/>), and within a second without.
    /// </summary>
    /// <param name="transaction">Open transaction on the database that holds the workflows.</param>
    public static Task StartAsync<TInput, TResult>(
        this IWorkflowHandle<IWorkflow<TInput, TResult>> workflow,
        TInput input,
        DbTransaction transaction,
        CancellationToken cancellation = default) =>
        workflow.StartAsync(input, transaction, cancellation);

    /// <summary>Waits until the run has ended, across moves and restarts of silos, and gives its recorded result.</summary>
    /// <exception cref="WorkflowFailedException">The run ended with an error.</exception>
    /// <exception cref="WorkflowSetAsideException">The run was set aside; the message says why.</exception>
    /// <exception cref="WorkflowNotFoundException">There is no such workflow.</exception>
    /// <exception cref="WorkflowTypeMismatchException">The id belongs to a workflow of another type.</exception>
    public static Task<TResult> ResultAsync<TInput, TResult>(
        this IWorkflowHandle<IWorkflow<TInput, TResult>> workflow,
        CancellationToken cancellation = default) =>
        workflow.ResultAsync<TResult>(cancellation);
}
