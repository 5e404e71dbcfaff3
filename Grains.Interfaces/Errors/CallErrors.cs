namespace Actors;

/// <summary>A workflow id or namespace that cannot name a workflow. Nothing was written.</summary>
public sealed class InvalidWorkflowIdException(string message) : ActorsException(message);

/// <summary>No workflow has this id in this namespace.</summary>
public sealed class WorkflowNotFoundException(string message) : ActorsException(message);

/// <summary>No silo that was asked has a workflow, signal or query of this name registered. Nothing was written.</summary>
public sealed class UnknownWorkflowTypeException(string message) : ActorsException(message);

/// <summary>The contract has no signal or query of this name, or it is not marked as one. Nothing was written.</summary>
public sealed class UnknownMethodException(string message) : ActorsException(message);

/// <summary>The id belongs to a workflow of another type. Nothing was written.</summary>
public sealed class WorkflowTypeMismatchException(string message) : ActorsException(message);

/// <summary>A start with <see cref="StartPolicy.Reject"/> met an id that is taken. Nothing was written.</summary>
public sealed class WorkflowExistsException(string message) : ActorsException(message);

/// <summary>A signal for a workflow that has ended. Nothing was written.</summary>
public sealed class WorkflowEndedException(string message) : ActorsException(message);

/// <summary>A payload that cannot be read as the type that the workflow declares, or that Postgres cannot hold. Nothing was
/// written.</summary>
public sealed class PayloadException(string message, Exception? inner = null) : ActorsException(message, inner);

/// <summary>A payload over <c>PayloadSizeMax</c>, or an entry over <c>EntrySizeMax</c>. Nothing was written.</summary>
public sealed class PayloadTooLargeException(string message) : ActorsException(message);

/// <summary>The workflow was set aside: it keeps everything it did and does nothing until it is resumed. The message gives the
/// reason.</summary>
public sealed class WorkflowSetAsideException(string message) : ActorsException(message);

/// <summary>
/// The cluster or its database could not be reached in time. What was asked may or may not have been committed: repeat it with the same
/// workflow id and with <see cref="RequestId"/>, and it takes effect once.
/// </summary>
public sealed class WorkflowUnavailableException(string message, Exception? inner = null) : ActorsException(message, inner)
{
    /// <inheritdoc/>
    public override bool IsTransient => true;

    /// <summary>The id by which to repeat the call: of a signal or message its <c>messageId</c>, of a start its <c>requestId</c>. Null
    /// where the workflow's own id is enough, and for calls that write nothing.</summary>
    public string? RequestId { get; init; }
}

/// <summary>The silo did not join: the stored name of one of its workflows belongs to another contract in this database.</summary>
public sealed class WorkflowNameTakenException(string message) : ActorsException(message);

/// <summary>
/// Workflow code did something that cannot be replayed, or asked for something else than its history holds. The run is set aside with this
/// as its reason and loses nothing: mend the code, deploy it, and resume the run. A query that replays such a run throws it, too.
/// </summary>
public sealed class WorkflowCodeException : ActorsException
{
    internal WorkflowCodeException(string message)
        : base(message)
    {
    }
}

/// <summary>The run's code, replayed in a fresh object, did not do the same again: it would be set aside at its next replay. Said where
/// silos look for it (ExecutionOptions.ReplayCheck, by default in the Development environment); what is stored is as it was.</summary>
public sealed class ReplayDifferenceException(string message) : ActorsException(message);

/// <summary>The code of a query threw, or its value cannot be sent. The run is as it was: a query writes nothing.</summary>
public sealed class QueryFailedException(string message, string errorType) : ActorsException(message)
{
    /// <summary>Full name of the type of the original exception.</summary>
    public string ErrorType { get; } = errorType;
}

/// <summary>The run ended with an error. Carries what was recorded: type, message and stack of the original error.</summary>
public sealed class WorkflowFailedException(string workflow, string errorType, string errorMessage, string? errorStack)
    : ActorsException($"Workflow '{workflow}' failed with {errorType}: {errorMessage}")
{
    /// <summary>Full name of the type of the original exception.</summary>
    public string ErrorType { get; } = errorType;

    /// <summary>Message of the original exception.</summary>
    public string ErrorMessage { get; } = errorMessage;

    /// <summary>Stack trace of the original exception as text, or null when it was never thrown.</summary>
    public string? ErrorStack { get; } = errorStack;
}
