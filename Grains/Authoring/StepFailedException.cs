using Actors.Wire;

namespace Actors;

/// <summary>
/// A step or transaction has failed for good: its attempts are used up, or the error is not retryable. Thrown into workflow code from
/// what was recorded, live and in replay alike.
/// </summary>
public sealed class StepFailedException : ActorsException
{
    internal StepFailedException(string step, int attempts, RecordedError error)
        : base($"Step '{step}' failed after {attempts} attempt(s) with {error.Type}: {error.Message}")
    {
        (Step, Attempts, ErrorType, ErrorMessage, ErrorStack) = (step, attempts, error.Type, error.Message, error.Stack);
    }

    /// <summary>Name of the step.</summary>
    public string Step { get; }

    /// <summary>Recorded attempts, the last included.</summary>
    public int Attempts { get; }

    /// <summary>Full name of the type of the last exception.</summary>
    public string ErrorType { get; }

    /// <summary>Message of the last exception.</summary>
    public string ErrorMessage { get; }

    /// <summary>Stack trace of the last exception as text, or null when it was never thrown.</summary>
    public string? ErrorStack { get; }

    /// <summary>True when the last exception was of this type; derived types have other names and do not count.</summary>
    public bool Is<TException>()
        where TException : Exception => ErrorType == typeof(TException).FullName;
}
