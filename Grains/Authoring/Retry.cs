namespace Actors;

/// <summary>
/// How often and when a failed step is tried again. Failures are recorded, so they count across crashes and moves; the pause between two
/// tries is a durable timer. Immutable: every method gives a changed copy.
/// </summary>
public sealed record Retry
{
    /// <summary>Most attempts that a retry may have.</summary>
    public const int AttemptsLimit = 1_000_000;

    /// <summary>The default of a Step: five attempts, 1 s, 2 s, 4 s, 8 s apart.</summary>
    public static Retry Default { get; } = Exponential(5);

    /// <summary>One attempt. The default of a Transaction, whose conflicts and lost connections are retried in any case, ten times or for
    /// half a minute at most.</summary>
    public static Retry None { get; } = new();

    private Retry()
    {
    }

    /// <summary>Attempts in all, the first included.</summary>
    public int Attempts { get; private init; } = 1;

    /// <summary>Pause after the first failure.</summary>
    public TimeSpan First { get; private init; } = TimeSpan.FromSeconds(1);

    /// <summary>Each pause is this many times the one before.</summary>
    public double Factor { get; private init; } = 2;

    /// <summary>Longest pause.</summary>
    public TimeSpan Cap { get; private init; } = TimeSpan.FromMinutes(1);

    /// <summary>Time for one attempt, after which its token is cancelled and the attempt has failed; null:
    /// ExecutionOptions.AttemptTimeout.</summary>
    public TimeSpan? AttemptTimeout { get; private init; }

    private Func<Exception, bool> IsRetryable { get; init; } = static _ => true;

    /// <param name="attempts">1 to 1,000,000, the first included.</param>
    /// <param name="first">Pause after the first failure. Default 1 s.</param>
    /// <param name="factor">1 to 100; each pause is this many times the one before. Default 2.</param>
    /// <param name="cap">Longest pause. Default 1 minute.</param>
    public static Retry Exponential(int attempts, TimeSpan? first = null, double factor = 2, TimeSpan? cap = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(attempts, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(attempts, AttemptsLimit);
        ArgumentOutOfRangeException.ThrowIfLessThan(factor, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(factor, 100);
        ArgumentOutOfRangeException.ThrowIfLessThan(first ?? TimeSpan.Zero, TimeSpan.Zero, nameof(first));
        ArgumentOutOfRangeException.ThrowIfLessThan(cap ?? TimeSpan.Zero, TimeSpan.Zero, nameof(cap));
        return new Retry { Attempts = attempts, First = first ?? TimeSpan.FromSeconds(1), Factor = factor,
            Cap = cap ?? TimeSpan.FromMinutes(1) };
    }

    /// <summary>Ends each attempt after this time.</summary>
    public Retry WithAttemptTimeout(TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
        return this with { AttemptTimeout = timeout };
    }

    /// <summary>An exception of this type (or derived from it) fails the step at once.</summary>
    public Retry Except<TException>()
        where TException : Exception => Only(error => error is not TException);

    /// <summary>Only exceptions for which the predicate holds are tried again; one that throws has not said yes.</summary>
    public Retry Only(Func<Exception, bool> retryable)
    {
        ArgumentNullException.ThrowIfNull(retryable);
        var before = IsRetryable;
        return this with { IsRetryable = error => before(error) && retryable(error) };
    }

    /// <summary>The pause after the given number of failures, or null when there is to be no further attempt.</summary>
    internal TimeSpan? PauseAfter(int failures, Exception error)
    {
        if (failures >= Attempts || !IsRetryable(error))
        {
            return null;
        }

        var ticks = First.Ticks * Math.Pow(Factor, failures - 1);
        return ticks >= Cap.Ticks ? Cap : TimeSpan.FromTicks((long)ticks);
    }
}
