namespace Actors;

/// <summary>Root of every error that this library throws on purpose. The message says what happened, which workflow and step, and what to
/// do; never a payload.</summary>
public abstract class ActorsException : Exception
{
    /// <param name="message">What happened, to what, and what to do next; never a payload.</param>
    protected ActorsException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }

    /// <summary>True when the same call may succeed later without a change by the caller. Nothing was written, or what was written is found
    /// again by the same id.</summary>
    public virtual bool IsTransient => false;
}
