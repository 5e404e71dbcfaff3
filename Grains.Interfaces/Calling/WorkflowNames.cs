using System.Reflection;

namespace Actors.Calling;

/// <summary>The stored name of a contract: the attribute's, else the interface's name without its I, else the class's name.</summary>
public static class WorkflowNames
{
    public static string Of(Type contract) =>
        contract.GetCustomAttribute<WorkflowNameAttribute>()?.Name
        ?? (contract is { IsInterface: true, Name: ['I', >= 'A' and <= 'Z', ..] name } ? name[1..] : contract.Name);
}
