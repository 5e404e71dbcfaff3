namespace Actors.Wire;

/// <summary>Typed errors to their wire form and back. An unknown code arrives as an error that keeps code and message.</summary>
internal static class WireErrors
{
    private static readonly Dictionary<string, Func<WireError, ActorsException>> Known = new(StringComparer.Ordinal)
    {
        [nameof(InvalidWorkflowIdException)] = e => new InvalidWorkflowIdException(e.Message),
        [nameof(WorkflowNotFoundException)] = e => new WorkflowNotFoundException(e.Message),
        [nameof(UnknownWorkflowTypeException)] = e => new UnknownWorkflowTypeException(e.Message),
        [nameof(UnknownMethodException)] = e => new UnknownMethodException(e.Message),
        [nameof(WorkflowTypeMismatchException)] = e => new WorkflowTypeMismatchException(e.Message),
        [nameof(WorkflowExistsException)] = e => new WorkflowExistsException(e.Message),
        [nameof(WorkflowEndedException)] = e => new WorkflowEndedException(e.Message),
        [nameof(PayloadException)] = e => new PayloadException(e.Message),
        [nameof(PayloadTooLargeException)] = e => new PayloadTooLargeException(e.Message),
        [nameof(WorkflowSetAsideException)] = e => new WorkflowSetAsideException(e.Message),
        [nameof(WorkflowCodeException)] = e => new WorkflowCodeException(e.Message),
        [nameof(ReplayDifferenceException)] = e => new ReplayDifferenceException(e.Message),
        [nameof(QueryFailedException)] = e => new QueryFailedException(e.Message, e.Type ?? "unknown"),
        [nameof(WorkflowUnavailableException)] = e => new WorkflowUnavailableException(e.Message),
    };

    public static WireError From(ActorsException error) =>
        Known.ContainsKey(error.GetType().Name)
            ? new WireError(error.GetType().Name, error.Message, (error as QueryFailedException)?.ErrorType)
            : new WireError(error.IsTransient ? nameof(WorkflowUnavailableException) : error.GetType().Name, error.Message);

    public static ActorsException ToException(this WireError error) =>
        Known.TryGetValue(error.Code, out var make) ? make(error) : new RemoteException(error.Code, error.Message);
}

/// <summary>An error of a silo whose type this program does not know.</summary>
public sealed class RemoteException(string code, string message) : ActorsException($"{code}: {message}")
{
    /// <summary>Name of the error's type in the silo.</summary>
    public string Code { get; } = code;
}
