namespace Actors;

/// <summary>Marks a contract: an interface that clients and silos share. Declare signals and queries on an interface that extends
/// <see cref="IWorkflow{TInput,TResult}"/>.</summary>
public interface IWorkflow;

/// <summary>Contract of a workflow that takes <typeparamref name="TInput"/> and ends with <typeparamref name="TResult"/>.</summary>
public interface IWorkflow<TInput, TResult> : IWorkflow;

/// <summary>The method is a signal: a durable message, acknowledged after its commit, handled once in the order of the journal. Must return
/// <see cref="Task"/>.</summary>
/// <remarks>Its arguments are stored as JSON: no <c>ref</c>, delegates, tokens, tuples. Not generic, not overloaded.
/// Add parameters at the end, with defaults: those that a caller or a history does not know take them, and those that a silo does not know
/// yet are left out.</remarks>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SignalAttribute : Attribute;

/// <summary>The method is a query: it reads the live object between two turns and writes nothing. Must return a value, not a
/// task.</summary>
/// <remarks>Arguments and value travel as JSON: no <c>ref</c>, delegates, tokens, tuples. Not generic, not overloaded.
/// Add parameters at the end, with defaults: those that a caller or a history does not know take them, and those that a silo does not know
/// yet are left out.</remarks>
[AttributeUsage(AttributeTargets.Method)]
public sealed class QueryAttribute : Attribute;

/// <summary>Fixes the name under which runs are stored, so that a contract can be renamed or moved. Default: the contract's name without
/// its leading I.</summary>
/// <param name="name">1 to 200 characters, well-formed and without control characters.</param>
[AttributeUsage(AttributeTargets.Interface | AttributeTargets.Class, Inherited = false)]
public sealed class WorkflowNameAttribute(string name) : Attribute
{
    /// <summary>The stored name.</summary>
    public string Name { get; } = name;

    /// <summary>
    /// Full names that the contract had before it moved, as <see cref="Type.FullName"/> wrote them (namespace and type, a nested one after
    /// a '+'): all are the same contract. Without this a contract under another full name is another one that happens to be stored under
    /// the same name. Default: none.
    /// </summary>
    /// <example><c>[WorkflowName("Import", Formerly = ["Sales.IImport"])]</c></example>
    public string[] Formerly { get; init; } = [];
}
