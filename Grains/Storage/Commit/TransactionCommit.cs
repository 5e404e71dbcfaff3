using System.Data;
using Npgsql;

namespace Actors.Storage;

/// <summary>An open transaction of user code, which ends with an entry of the journal: one round trip, fence, entry and COMMIT.</summary>
internal sealed class TransactionCommit : IAsyncDisposable
{
    private readonly EngineDatabase _database;
    private readonly JournalWriter _journal;

    private TransactionCommit(EngineDatabase database, JournalWriter journal, NpgsqlConnection connection, NpgsqlTransaction transaction) =>
        (_database, _journal, Connection, Transaction, ProcessId) = (database, journal, connection, transaction, connection.ProcessID);

    public NpgsqlConnection Connection { get; }

    public NpgsqlTransaction Transaction { get; }

    /// <summary>The server's process that has it.</summary>
    public int ProcessId { get; }

    /// <summary>True when the body has committed, rolled back or closed the connection by itself, in whatever way.</summary>
    public bool HasEnded
    {
        get
        {
            try
            {
                return Connection.FullState == ConnectionState.Closed
                    || (Connection.State == ConnectionState.Open && Transaction.IsolationLevel < 0);
            }
            catch (Exception error) when (error is InvalidOperationException or ObjectDisposedException)
            {
                return true; // So Npgsql says that the server has no such transaction any more.
            }
        }
    }

    public static async Task<TransactionCommit> BeginAsync(
        EngineDatabase database, JournalWriter journal, IsolationLevel isolation, CancellationToken cancellation)
    {
        var connection = await database.Users.OpenConnectionAsync(cancellation);
        try
        {
            // Sent with the first statement of the body.
            return new TransactionCommit(database, journal, connection, await connection.BeginTransactionAsync(isolation, cancellation));
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Writes the entry and commits, in one round trip. The caller holds the run's commit turn. An unknown outcome is resolved before this
    /// returns.
    /// </summary>
    public async Task<CommitReply> CommitAsync(Entry entry)
    {
        var reply = await TryCommitAsync(entry);
        if (reply.Outcome == CommitOutcome.Committed && entry.Outbox.Count > 0)
        {
            _journal.OutboxWritten?.Invoke();
        }

        return reply;
    }

    private async Task<CommitReply> TryCommitAsync(Entry entry)
    {
        try
        {
            var at = await SendAsync(entry);
            return new CommitReply(CommitOutcome.Committed, at, entry.Epoch);
        }
        catch (PostgresException error) when (error.SqlState == PostgresFaults.FenceFailed)
        {
            // Nothing was written; the journal finds out whether the run is still ours.
            return await _journal.ResolveAsync(entry) is { Outcome: CommitOutcome.Unmoved } unmoved ? unmoved
                : new CommitReply(CommitOutcome.Fenced, default, entry.Epoch);
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.InFailedSqlTransaction)
        {
            return Aborted(this, entry, new InvalidOperationException(
                "The body caught an error of Postgres and went on, but a statement that fails ends its transaction: let it throw, or use a "
                    + "savepoint.", error));
        }
        catch (PostgresException error)
            when (error.SqlState == PostgresErrorCodes.ReadOnlySqlTransaction && Connection.State == ConnectionState.Open)
        {
            return Aborted(this, entry, new InvalidOperationException(
                "The body made its transaction read only, and the engine writes the result into it: leave it read-write.", error));
        }
        catch (PostgresException error) when (PostgresFaults.IsCertainAbort(error) && PostgresFaults.MayCommitLater(error))
        {
            return new CommitReply(CommitOutcome.Unmoved, default, entry.Epoch, error);
        }
        catch (Exception error)
            when (Connection.State == ConnectionState.Open && error is not CommitInDoubtException || PostgresFaults.IsIdleTimeout(error)
            || PostgresFaults.IsUnsendable(error))
        {
            return Aborted(this, entry, error); // Refused, or never sent.
        }
        catch (Exception error)
        {
            return await _journal.ResolveAsync(entry) with { Error = error };
        }
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            await Transaction.DisposeAsync();
        }
        catch (Exception)
        {
            // Lost, or left busy by its body, or Npgsql has lost its place: the pool resets or drops the connection.
        }

        await Connection.DisposeAsync();
    }

    /// <summary>
    /// What an error before the end of COMMIT means, when nothing can have been committed. A conflict or a plan that no longer fits may run
    /// again, and so may what lost its connection: that is gone, and the error says by what. One that Npgsql closed over a value, or the
    /// server because the body let it idle, is the body's fault.
    /// </summary>
    public static CommitReply Aborted(TransactionCommit? session, Entry? entry, Exception error) => new(
        !PostgresFaults.IsIdleTimeout(error)
            && (PostgresFaults.IsConflict(error) || PostgresFaults.IsStalePlan(error)
                || (session is null ? PostgresFaults.IsUnreachable(error) : session.Connection.State != ConnectionState.Open
                    && PostgresFaults.IsLost(error)))
            ? CommitOutcome.Unmoved : CommitOutcome.Rejected,
        default,
        entry?.Epoch ?? 0,
        error);

    private async Task<DateTimeOffset> SendAsync(Entry entry)
    {
        await using var batch = Connection.CreateBatch();
        // No token and no time-out: a COMMIT that is on its way is waited for, or left with its connection, but never cancelled.
        (batch.Transaction, batch.Timeout) = (Transaction, 0);
        var commit = new CommitBatch([], [entry], _database.Silo, _database.SiloNumber);
        commit.WriteWithin(batch);
        using var limit = SilentSocket.EndsUnlessAnswered(Connection);
        using var doubts = new CommitDoubts(Connection);
        await _database.Probe.AroundAsync("commit transaction", async () =>
        {
            await using var reader = await batch.ExecuteReaderAsync(CancellationToken.None);
            return await commit.ReadAsync(reader);
        }, mayBeLong: true, isUsers: true); // Their deferred triggers run in it.
        doubts.ThrowIfAny();
        return commit.At;
    }
}
