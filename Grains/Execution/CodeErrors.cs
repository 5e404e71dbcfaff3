namespace Actors;

/// <summary>
/// Workflow code did something that cannot be replayed, or asked for something else than its history holds. The run is set aside with this as its
/// reason and loses nothing: mend the code, deploy it, and resume the run.
/// </summary>
public sealed class WorkflowCodeException : ActorsException
{
    internal WorkflowCodeException(string message)
        : base(message)
    {
    }
}

/// <summary>A message was published to a topic that has no destination. Nothing was written.</summary>
public sealed class UnknownTopicException(string message) : ActorsException(message);
