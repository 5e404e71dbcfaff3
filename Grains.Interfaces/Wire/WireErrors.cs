namespace Actors.Wire;

/// <summary>Typed errors to their wire form and back. An unknown code arrives as an error that keeps code and message.</summary>
internal static class WireErrors
{
    private static readonly Dictionary<string, Func<string, ActorsException>> Known = new(StringComparer.Ordinal)
    {
        [nameof(InvalidWorkflowIdException)] = m => new InvalidWorkflowIdException(m),
        [nameof(WorkflowNotFoundException)] = m => new WorkflowNotFoundException(m),
        [nameof(UnknownWorkflowTypeException)] = m => new UnknownWorkflowTypeException(m),
        [nameof(UnknownMethodException)] = m => new UnknownMethodException(m),
        [nameof(WorkflowTypeMismatchException)] = m => new WorkflowTypeMismatchException(m),
        [nameof(WorkflowExistsException)] = m => new WorkflowExistsException(m),
        [nameof(WorkflowEndedException)] = m => new WorkflowEndedException(m),
        [nameof(PayloadException)] = m => new PayloadException(m),
        [nameof(PayloadTooLargeException)] = m => new PayloadTooLargeException(m),
        [nameof(WorkflowSetAsideException)] = m => new WorkflowSetAsideException(m),
        [nameof(WorkflowUnavailableException)] = m => new WorkflowUnavailableException(m),
    };

    public static WireError From(ActorsException error) =>
        Known.ContainsKey(error.GetType().Name)
            ? new WireError(error.GetType().Name, error.Message)
            : new WireError(error.IsTransient ? nameof(WorkflowUnavailableException) : error.GetType().Name, error.Message);

    public static ActorsException ToException(this WireError error) =>
        Known.TryGetValue(error.Code, out var make) ? make(error.Message) : new RemoteException(error.Code, error.Message);
}

/// <summary>An error of a silo whose type this program does not know.</summary>
public sealed class RemoteException(string code, string message) : ActorsException($"{code}: {message}")
{
    /// <summary>Name of the error's type in the silo.</summary>
    public string Code { get; } = code;
}
