using System.Data;
using Npgsql;

namespace Actors;

/// <summary>
/// What the body of a transaction is given: an open connection and its transaction, in which the engine writes the result, the
/// state and the messages before it commits. Never commit or roll back here; throw to roll back.
/// </summary>
public sealed class TransactionContext
{
    private readonly IAttempt _attempt;

    internal TransactionContext(
        IAttempt attempt, NpgsqlConnection connection, NpgsqlTransaction transaction, MessageBuffer messages)
    {
        (_attempt, Connection, Transaction) = (attempt, connection, transaction);
        (Attempt, Messages) = (attempt.Number, messages);
    }

    /// <summary>Open, and inside <see cref="Transaction"/>: what is written over it commits with the workflow's state. Never close it, and
    /// end no transaction over it. A COMMIT or ROLLBACK of the body's own fails the attempt. One AND CHAIN, or with a BEGIN behind it, is
    /// not noticed: what it committed is there twice when the attempt runs again.</summary>
    public NpgsqlConnection Connection { get; }

    /// <summary>For Dapper's <c>transaction</c> parameter and EF Core's <c>UseTransaction</c>. Plain commands on the connection are inside
    /// it anyway.</summary>
    public NpgsqlTransaction Transaction { get; }

    /// <summary>The same for every attempt of this transaction in this run. At most 60 ASCII letters, digits and hyphens.</summary>
    public string IdempotencyKey => _attempt.IdempotencyKey;

    /// <summary>1 for the first attempt. Conflicts (40001, 40P01) and lost connections repeat an attempt without counting, ten times or for
    /// half a minute at most.</summary>
    public int Attempt { get; }

    /// <summary>Cancelled when the attempt's time is up, when the run ends, or when this silo gives the workflow away.</summary>
    public CancellationToken Cancellation => _attempt.Token;

    /// <summary>The host's services in a scope of this attempt's own, which ends when the body returns: a DbContext from here is shared
    /// with nothing else, while what the workflow's constructor takes is shared by all of its bodies for as long as the run is in
    /// memory.</summary>
    /// <exception cref="ObjectDisposedException">The body has ended.</exception>
    public IServiceProvider Services => _attempt.Services;

    internal MessageBuffer Messages { get; }

    /// <summary>Commits the message with the transaction, or not at all.</summary>
    /// <inheritdoc cref="Workflow.Publish{T}" path="/param"/>
    /// <exception cref="InvalidOperationException">The body has ended.</exception>
    public void Publish<T>(string topic, string key, T message) => Messages.Add(topic, key, message);
}

/// <summary>How a Transaction runs.</summary>
public sealed record TransactionOptions
{
    /// <summary>READ COMMITTED, without retries of the body's own exceptions.</summary>
    public static TransactionOptions Default { get; } = new();

    /// <summary>
    /// Default READ COMMITTED. Above it the body has the workflow's commit turn for itself: parallel steps and signals of the same
    /// workflow commit before it begins or after it ends.
    /// </summary>
    public IsolationLevel Isolation { get; init; } = IsolationLevel.ReadCommitted;

    /// <summary>For exceptions of the body. Default none.</summary>
    public Retry Retry { get; init; } = Retry.None;
}
