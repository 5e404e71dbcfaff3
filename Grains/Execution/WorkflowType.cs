using System.Reflection;
using Actors.Calling;
using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace Actors.Execution;

/// <summary>A registered workflow class: its stored name, its signals and queries, and how to make one.</summary>
internal sealed class WorkflowType
{
    private readonly ObjectFactory _factory;

    /// <exception cref="ArgumentException">The class cannot run as a workflow; the message says why.</exception>
    public WorkflowType(Type implementation)
    {
        if (!typeof(Workflow).IsAssignableFrom(implementation) || implementation.IsAbstract || implementation.ContainsGenericParameters)
        {
            throw new ArgumentException($"{implementation.Name} is not a concrete class derived from Workflow<TInput, TResult>.");
        }

        Implementation = implementation;
        var contracts = implementation.GetInterfaces().Where(i => typeof(IWorkflow).IsAssignableFrom(i) && i != typeof(IWorkflow) && !i.IsGenericType).ToList();
        if (contracts.Count > 1)
        {
            throw new ArgumentException($"{implementation.Name} implements {contracts.Count} contracts ({string.Join(", ", contracts.Select(c => c.Name))}): a workflow has one.");
        }

        var contract = contracts.Count == 1 ? contracts[0] : implementation;
        Name = WorkflowNames.Of(contract);
        Signals = Marked<SignalAttribute>(contract, method => method.ReturnType == typeof(Task), "a signal returns Task");
        Queries = Marked<QueryAttribute>(
            contract, method => method.ReturnType != typeof(void) && !typeof(Task).IsAssignableFrom(method.ReturnType), "a query returns a value, not a task");
        InputType = BaseOf(implementation).GetGenericArguments()[0];
        _factory = ActivatorUtilities.CreateFactory(implementation, Type.EmptyTypes);
    }

    public string Name { get; }

    public Type Implementation { get; }

    public Type InputType { get; }

    public IReadOnlyDictionary<string, MethodInfo> Signals { get; }

    public IReadOnlyDictionary<string, MethodInfo> Queries { get; }

    public Workflow Create(IServiceProvider services)
    {
        Ambient.Drop();
        return (Workflow)_factory(services, null);
    }

    private static Type BaseOf(Type type) =>
        type is { IsGenericType: true } && type.GetGenericTypeDefinition() == typeof(Workflow<,>) ? type : BaseOf(type.BaseType!);

    private static Dictionary<string, MethodInfo> Marked<TMark>(Type contract, Func<MethodInfo, bool> valid, string rule)
        where TMark : Attribute
    {
        var marked = new Dictionary<string, MethodInfo>(StringComparer.Ordinal);
        foreach (var method in contract.GetInterfaces().Append(contract).SelectMany(type => type.GetMethods()).Where(m => m.IsDefined(typeof(TMark), true)))
        {
            if (!valid(method) || !marked.TryAdd(method.Name, method))
            {
                throw new ArgumentException($"{contract.Name}.{method.Name}: {rule}, and its name is not overloaded.");
            }
        }

        return marked;
    }
}

/// <summary>All workflow classes of this silo, by stored name.</summary>
internal sealed class WorkflowTypes
{
    private readonly Dictionary<string, WorkflowType> _types = new(StringComparer.Ordinal);

    /// <exception cref="ArgumentException">Two classes have one stored name, or a class cannot run as a workflow.</exception>
    public WorkflowTypes(IEnumerable<Type> implementations)
    {
        foreach (var type in implementations.Distinct().Select(implementation => new WorkflowType(implementation)))
        {
            if (!_types.TryAdd(type.Name, type))
            {
                throw new ArgumentException($"{type.Implementation.Name} and {_types[type.Name].Implementation.Name} are both stored as '{type.Name}': give one a [WorkflowName].");
            }
        }
    }

    public string[] Names => [.. _types.Keys];

    public WorkflowType? Find(string name) => _types.GetValueOrDefault(name);

    /// <exception cref="UnknownWorkflowTypeException">This silo has no such type.</exception>
    public WorkflowType Get(string name, WorkflowId id) => Find(name) ?? throw new UnknownWorkflowTypeException(
        $"Workflow '{id}': this silo has no workflow '{name}'. It has: {string.Join(", ", Names.Order(StringComparer.Ordinal))}. Register it with AddWorkflow.");
}
