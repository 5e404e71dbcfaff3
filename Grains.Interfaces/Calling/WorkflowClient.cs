using System.Data.Common;

namespace Actors.Calling;

/// <summary>Calls workflows over any Orleans grain factory: a silo's own, or a client connection's.</summary>
/// <param name="patience">How long one poll for a result waits in the silo; shorter than the response time-out of the connection.</param>
internal sealed class WorkflowClient(IGrainFactory grains, PayloadSerializer payloads, TimeSpan patience) : IWorkflowClient
{
    private readonly GrainRoute _grains = new(grains);

    /// <summary>Null: every call goes to the workflow's grain.</summary>
    internal IWorkflowRoute? Route { get; init; }

    public IWorkflowHandle<TContract> Get<TContract>(string id, string @namespace = WorkflowId.DefaultNamespace)
        where TContract : class, IWorkflow
    {
        Contract.Of(typeof(TContract));
        return new WorkflowHandle<TContract>(new WorkflowId(id, @namespace), Route ?? _grains, _grains, payloads, patience);
    }

    public Task<long> StartManyAsync<TContract, TInput>(
        IEnumerable<KeyValuePair<string, TInput>> inputs,
        DbTransaction transaction,
        string @namespace = WorkflowId.DefaultNamespace,
        CancellationToken cancellation = default)
        where TContract : class, IWorkflow
    {
        var contract = Contract.Of(typeof(TContract));
        return contract.Input == typeof(TInput)
            ? new BulkStart(transaction, contract, @namespace).RunAsync(inputs, payloads, cancellation)
            : throw new ArgumentException($"{typeof(TContract).Name} does not take {typeof(TInput).Name} as its input.", nameof(inputs));
    }
}
