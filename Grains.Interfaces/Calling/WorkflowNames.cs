namespace Actors.Calling;

/// <summary>The stored name of a contract.</summary>
internal static class WorkflowNames
{
    public static string Of(Type contract) => Contract.Of(contract).Name;
}
