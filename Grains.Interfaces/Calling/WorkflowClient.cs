using System.Data.Common;
using Actors.Wire;

namespace Actors.Calling;

/// <summary>Calls workflows over any Orleans grain factory: a silo's own, or a client connection's.</summary>
/// <param name="patience">How long one poll for a result waits in the silo; shorter than the response time-out of the connection.</param>
public sealed class WorkflowClient(IGrainFactory grains, PayloadSerializer payloads, TimeSpan patience) : IWorkflowClient
{
    private GrainReference? _like;

    /// <summary>What is asked first.</summary>
    internal IDirectCalls? Direct { get; init; }

    public IWorkflowHandle<TContract> Get<TContract>(string id, string @namespace = WorkflowId.DefaultNamespace)
        where TContract : class, IWorkflow
    {
        var workflow = new WorkflowId(id, @namespace);
        return new WorkflowHandle<TContract>(workflow, Grain(workflow.GrainKey), payloads, patience, Direct);
    }

    public Task<long> StartManyAsync<TContract, TInput>(
        IEnumerable<KeyValuePair<string, TInput>> inputs, DbTransaction transaction, string @namespace, CancellationToken cancellation)
        where TContract : class, IWorkflow
    {
        var contract = typeof(TContract).GetInterfaces().Append(typeof(TContract))
            .FirstOrDefault(type => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IWorkflow<,>));
        return contract?.GetGenericArguments()[0] == typeof(TInput)
            ? new BulkStart(transaction, WorkflowNames.Of(typeof(TContract)), @namespace).RunAsync(inputs, payloads, cancellation)
            : throw new ArgumentException($"{typeof(TContract).Name} does not take {typeof(TInput).Name} as its input.", nameof(inputs));
    }

    /// <summary>The first reference is the pattern of the others: for each that it makes from a type Orleans looks that type up anew, by attributes and name.</summary>
    private IWorkflowGrain Grain(string key)
    {
        if (_like is { } like)
        {
            return (IWorkflowGrain)grains.GetGrain(GrainId.Create(like.GrainId.Type, key), like.InterfaceType);
        }

        var grain = grains.GetGrain<IWorkflowGrain>(key);
        _like = grain as GrainReference;
        return grain;
    }
}
