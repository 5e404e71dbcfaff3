namespace Actors;

/// <summary>What the body of a step is given. Valid until the body returns.</summary>
public sealed class StepContext
{
    private readonly IAttempt _attempt;

    internal StepContext(IAttempt attempt, MessageBuffer messages) =>
        (_attempt, Attempt, Messages) = (attempt, attempt.Number, messages);

    /// <summary>The same for every attempt of this step in this run, whatever crashes, and of no other step, nor of one with another name
    /// that changed code gives in its place: give it to whoever must not do the work twice. At most 60 ASCII letters, digits and
    /// hyphens.</summary>
    public string IdempotencyKey => _attempt.IdempotencyKey;

    /// <summary>1 for the first attempt; attempts that a crash ended without a record are not counted.</summary>
    public int Attempt { get; }

    /// <summary>Cancelled when the attempt's time is up, when the run ends, or when this silo gives the workflow away.</summary>
    public CancellationToken Cancellation => _attempt.Token;

    /// <summary>The host's services in a scope of this attempt's own, which ends when the body returns: a DbContext from here is shared
    /// with nothing else, while what the workflow's constructor takes is shared by all of its bodies for as long as the run is in
    /// memory.</summary>
    /// <exception cref="ObjectDisposedException">The body has ended.</exception>
    public IServiceProvider Services => _attempt.Services;

    internal MessageBuffer Messages { get; }

    /// <summary>Commits the message with the step's result, or not at all: a failed attempt publishes nothing.</summary>
    /// <inheritdoc cref="Workflow.Publish{T}" path="/param"/>
    /// <exception cref="InvalidOperationException">The body has ended.</exception>
    public void Publish<T>(string topic, string key, T message) => Messages.Add(topic, key, message);
}
