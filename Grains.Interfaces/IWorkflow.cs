namespace Actors;

/// <summary>Marks a contract: an interface that clients and silos share. Declare signals and queries on an interface that extends <see cref="IWorkflow{TInput,TResult}"/>.</summary>
public interface IWorkflow;

/// <summary>Contract of a workflow that takes <typeparamref name="TInput"/> and ends with <typeparamref name="TResult"/>.</summary>
public interface IWorkflow<TInput, TResult> : IWorkflow;

/// <summary>The method is a signal: a durable message, acknowledged after its commit, handled once in the order of the journal. Must return <see cref="Task"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SignalAttribute : Attribute;

/// <summary>The method is a query: it reads the live object between two turns and writes nothing. Must return a value, not a task.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class QueryAttribute : Attribute;

/// <summary>Fixes the name under which runs are stored, so that a type can be renamed. Default: the contract's name without its leading I.</summary>
[AttributeUsage(AttributeTargets.Interface | AttributeTargets.Class, Inherited = false)]
public sealed class WorkflowNameAttribute(string name) : Attribute
{
    public string Name { get; } = name;
}
