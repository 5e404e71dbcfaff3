using System.Collections.Concurrent;
using System.Reflection;
using Actors.Calling;
using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Actors.Programs;

/// <summary>A registered workflow class: its contract, and how to make one.</summary>
internal sealed class WorkflowType
{
    private readonly ObjectFactory _factory;
    private readonly ConcurrentDictionary<string, bool> _surplus = new(StringComparer.Ordinal);

    /// <exception cref="ArgumentException">The class cannot run as a workflow; the message says why.</exception>
    public WorkflowType(Type implementation)
    {
        (Implementation, Contract) = (implementation, Contract.Of(implementation));
        _factory = ActivatorUtilities.CreateFactory(implementation, Type.EmptyTypes);
    }

    public Type Implementation { get; }

    public Contract Contract { get; }

    public string Name => Contract.Name;

    public Type InputType => Contract.Input;

    public IReadOnlyDictionary<string, MethodInfo> Signals => Contract.Signals;

    public IReadOnlyDictionary<string, MethodInfo> Queries => Contract.Queries;

    /// <summary>True once for each method.</summary>
    public bool IsFirstSurplus(MethodInfo method) => _surplus.TryAdd(method.Name, true);

    /// <summary>A fresh object, which knows nothing of the run's past yet.</summary>
    /// <param name="escaped">Called on any thread when its code goes on outside of its turns.</param>
    public IProgram Program(
        StoredRun run, IServiceProvider services, PayloadSerializer payloads, MessagePreparer messages, ILogger log,
        Action<string> escaped) =>
        new WorkflowProgram(run, this, services, payloads, messages, log, escaped);

    public Workflow Create(IServiceProvider services)
    {
        Ambient.EnterCode();
        return (Workflow)_factory(services, null);
    }
}

/// <summary>All workflow classes of this silo, by stored name.</summary>
internal sealed class WorkflowTypes
{
    private readonly Dictionary<string, WorkflowType> _types = new(StringComparer.Ordinal);

    /// <summary>Adding a class twice adds it once.</summary>
    /// <exception cref="ArgumentException">Another class has this stored name, or the class cannot run as a workflow.</exception>
    public void Add(Type implementation)
    {
        var type = new WorkflowType(implementation);
        if (!_types.TryAdd(type.Name, type) && _types[type.Name].Implementation != implementation)
        {
            throw new ArgumentException(
                $"{implementation.Name} and {_types[type.Name].Implementation.Name} are both stored as '{type.Name}': give one a "
                + $"[WorkflowName].");
        }
    }

    public string[] Names => [.. _types.Keys];

    /// <summary>Declared versions, by stored name: this silo starts and runs the type as this version, and undeclared runs too.</summary>
    public Dictionary<string, string> Versions { get; } = new(StringComparer.Ordinal);

    public IReadOnlyList<DeclaredCode> Declared =>
        [.. _types.Values.OrderBy(type => type.Name, StringComparer.Ordinal).Select(
        type => new DeclaredCode(type.Name, type.Contract.FullNames, type.Contract.Shape)
        {
            Version = Versions.GetValueOrDefault(type.Name, ""),
        })];

    public WorkflowType? Find(string name) => _types.GetValueOrDefault(name);

    /// <exception cref="UnknownWorkflowTypeException">This silo has no such type.</exception>
    public WorkflowType Get(string name, WorkflowId id) =>
        NameRule.Broken(name, "the name of a workflow type") is { } sentence
            ? throw new UnknownWorkflowTypeException($"Workflow '{id}': {sentence}")
        : Find(name) ?? throw new UnknownWorkflowTypeException(
        $"Workflow '{id}': this silo has no workflow '{name}'. It has: {string.Join(", ", Names.Order(StringComparer.Ordinal))}. Register "
            + $"it with AddWorkflow.");
}
