using System.Data.Common;

namespace Actors;

/// <summary>The calls of a client that concern many workflows at once.</summary>
public static class WorkflowClientCalls
{
    /// <summary>
    /// Starts all of these workflows with the caller's own rows, or none: they exist when the caller's transaction commits, and silos take them
    /// up as they have room, beginning within a second. When this throws, the transaction is as it was before. Inputs are read as they are sent, some thousands at a time, so a million may come from a stream.
    /// </summary>
    /// <param name="inputs">Id and input of each. Ids are those of <see cref="IWorkflowClient.Get"/>; one that exists as the same type is left as it is.
    /// They are read while those before them are written: what makes them may not use the transaction's connection.</param>
    /// <param name="transaction">Open transaction on the database that holds the workflows; Npgsql's.</param>
    /// <typeparam name="TInput">The contract's input type; another is an <see cref="ArgumentException"/>.</typeparam>
    /// <returns>How many were made.</returns>
    /// <exception cref="WorkflowTypeMismatchException">An id belongs to a workflow of another type.</exception>
    /// <exception cref="InvalidWorkflowIdException">An id cannot name a workflow.</exception>
    /// <exception cref="PayloadTooLargeException">An input exceeds the limit.</exception>
    public static Task<long> StartManyAsync<TContract, TInput>(
        this IWorkflowClient workflows,
        IEnumerable<KeyValuePair<string, TInput>> inputs,
        DbTransaction transaction,
        string @namespace = WorkflowId.DefaultNamespace,
        CancellationToken cancellation = default)
        where TContract : class, IWorkflow =>
        workflows.StartManyAsync<TContract, TInput>(inputs, transaction, @namespace, cancellation);
}
