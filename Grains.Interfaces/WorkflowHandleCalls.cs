using System.Data.Common;

namespace Actors;

/// <summary>The calls of a handle whose types come from the contract.</summary>
public static class WorkflowHandleCalls
{
    /// <summary>Returns after the commit that holds the run; repeating it with the same id attaches to that run.</summary>
    /// <param name="options">Default: attach to what is there.</param>
    /// <exception cref="WorkflowUnavailableException">Not answered in time: repeat the call with the exception's <c>RequestId</c>, as the
    /// options' <see cref="StartOptions.RequestId"/>.</exception>
    /// <exception cref="WorkflowTypeMismatchException">The id belongs to a workflow of another type.</exception>
    /// <exception cref="WorkflowExistsException">The id is taken and the policy rejects that.</exception>
    /// <exception cref="UnknownWorkflowTypeException">The silo that was asked does not know the contract.</exception>
    /// <exception cref="PayloadTooLargeException">The input exceeds the limit.</exception>
    public static Task<StartedRun> StartAsync<TInput, TResult>(
        this IWorkflowHandle<IWorkflow<TInput, TResult>> workflow,
        TInput input,
        StartOptions? options = null,
        CancellationToken cancellation = default) =>
        workflow.StartUntypedAsync(input, options ?? new StartOptions(), cancellation);

    /// <summary>
    /// Commits the start with the caller's own rows or not at all. Runs at once when the caller wakes it after its commit
    /// (<see cref="IWorkflowHandle{TContract}.WakeAsync"/>), and within a second without.
    /// </summary>
    /// <param name="transaction">Open transaction on the database that holds the workflows.</param>
    public static Task StartAsync<TInput, TResult>(
        this IWorkflowHandle<IWorkflow<TInput, TResult>> workflow,
        TInput input,
        DbTransaction transaction,
        CancellationToken cancellation = default) =>
        workflow.StartUntypedAsync(input, transaction, cancellation);

    /// <summary>Waits until the run has ended, across moves and restarts of silos, and gives its recorded result.</summary>
    /// <exception cref="WorkflowFailedException">The run ended with an error.</exception>
    /// <exception cref="WorkflowSetAsideException">The run was set aside; the message says why.</exception>
    /// <exception cref="WorkflowNotFoundException">There is no such workflow.</exception>
    /// <exception cref="WorkflowTypeMismatchException">The id belongs to a workflow of another type.</exception>
    public static Task<TResult> ResultAsync<TInput, TResult>(
        this IWorkflowHandle<IWorkflow<TInput, TResult>> workflow,
        CancellationToken cancellation = default) =>
        workflow.ResultUntypedAsync<TResult>(cancellation);
}
