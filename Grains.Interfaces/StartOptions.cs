namespace Actors;

/// <summary>How a workflow is started. A <see cref="StartPolicy"/> alone may stand for it.</summary>
public sealed record StartOptions
{
    /// <summary>What the start does when the id is taken. Default: <see cref="StartPolicy.Attach"/>.</summary>
    public StartPolicy Policy { get; init; }

    /// <summary>Of a start with <see cref="StartPolicy.Reject"/> or <see cref="StartPolicy.StartNew"/>: a repeat with the same id answers
    /// with the run that the first one made, and makes no other; one that found a run made none, and is asked anew, unless that run took
    /// its signal. 1 to 200 characters without control characters. Default: a new id, kept over the call's own retries. With
    /// <see cref="StartPolicy.Attach"/> the workflow's id is enough for the run, and this is the message id of a signal without
    /// one.</summary>
    public string? RequestId { get; init; }

    /// <summary>The run begins so long after its start has committed, by the database's clock, and later by <c>SweepInterval</c> at most
    /// (half a second). Until then it holds its id, takes messages, and costs two rows and no memory; a start that attaches to it leaves it
    /// its time, whatever the policy. Default: null, at once, as do zero and less, <see cref="Timeout.InfiniteTimeSpan"/> among it; what
    /// would begin after the year 9999 begins in it.</summary>
    public TimeSpan? Delay { get; init; }

    /// <summary>The policy, and all else as it is by default.</summary>
    public static implicit operator StartOptions(StartPolicy policy) => FromStartPolicy(policy);

    /// <summary>The policy, and all else as it is by default.</summary>
    public static StartOptions FromStartPolicy(StartPolicy policy) => new() { Policy = policy };
}

/// <summary>What a start does when the id's last run has ended. While it runs, every start attaches to it, but for
/// <see cref="Reject"/>.</summary>
public enum StartPolicy
{
    /// <summary>Attach to what is there, running or ended: an id is an idempotency key. The default.</summary>
    Attach,

    /// <summary>Throw <see cref="WorkflowExistsException"/> if the id is taken.</summary>
    Reject,

    /// <summary>Open a new run if the last one has ended, and no run took the start's signal before; attach to it while it runs.</summary>
    StartNew,
}

/// <summary>What a start found or made.</summary>
/// <param name="Run">Names the run to the world; never reused.</param>
/// <param name="Started">True when this call made the run; false when it attached to one.</param>
public readonly record struct StartedRun(Guid Run, bool Started);
