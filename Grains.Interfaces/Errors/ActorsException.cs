namespace Actors;

/// <summary>Root of every error that Actors itself throws.</summary>
public abstract class ActorsException : Exception
{
    protected ActorsException(string message, Exception? inner = null) : base(message, inner) { }

    /// <summary>True where the same call may succeed later without any change. Default false.</summary>
    public virtual bool IsTransient => false;
}
