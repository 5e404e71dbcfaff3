using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>Transactions of user code: the body runs beside the code, its commit takes the run's turn and carries what else is ready.</summary>
internal sealed partial class WorkflowInstance
{
    private sealed record ReadyTransaction(
        Attempt Attempt, TransactionCommit Session, Payload Result, IReadOnlyList<OutgoingMessage> Messages, TaskCompletionSource<TransactionReply> Done);

    private async Task RunTransactionAsync(Attempt attempt, ITransactionBody transaction)
    {
        var (reply, hadBody) = await TryTransactionAsync(attempt, transaction);
        BodyEnded();
        Post(() =>
        {
            if (!End(attempt))
            {
                return;
            }

            if (reply.Outcome == TransactionOutcome.Again)
            {
                Interrupted(attempt.Command, hadBody, reply.Error);
            }
            else if (reply.Outcome == TransactionOutcome.Failed)
            {
                Failed(attempt.Command, reply.Error!);
            }
        });
    }

    private async Task<(TransactionReply Reply, bool HadBody)> TryTransactionAsync(Attempt attempt, ITransactionBody transaction)
    {
        TransactionCommit? session = null;
        try
        {
            session = await _engine.Sessions.BeginAsync(this, attempt, transaction.Options.Isolation);
            Watch(attempt);
            var messages = new MessageBuffer(_engine.Messages);
            var result = await transaction.RunAsync(
                new TransactionContext(attempt, session.Connection, session.Transaction, IdempotencyKey(attempt.Command), messages), _engine.Payloads);
            var published = messages.Close();
            CheckSize(attempt.Command, result, published);
            if (session.HasEnded)
            {
                return (new TransactionReply(TransactionOutcome.Failed, default, new InvalidOperationException(
                    $"The body of {attempt.Command} ended its transaction: the engine commits it. Throw to roll back.")), true);
            }

            var done = new TaskCompletionSource<TransactionReply>(TaskCreationOptions.RunContinuationsAsynchronously);
            return (await ReadyAsync(new ReadyTransaction(attempt, session, result, published, done)), true);
        }
        catch (Exception error)
        {
            return (TransactionCommit.Aborted(session, null, error), session is not null);
        }
        finally
        {
            await _engine.Sessions.EndAsync(session);
        }
    }

    /// <summary>Waits for the run's turn to commit, and for the commit.</summary>
    private Task<TransactionReply> ReadyAsync(ReadyTransaction ready)
    {
        Post(() =>
        {
            var attempt = ready.Attempt;
            if (_gone || _code.HasEnded || attempt.Command.Attempt != attempt || attempt.IsCancelled)
            {
                ready.Done.SetResult(new TransactionReply(TransactionOutcome.Fenced, default)); // Nothing that ends after its token counts.
                return;
            }

            attempt.IsReady = true;
            if (_exclusiveUnderWay == attempt.Command)
            {
                CommitTransaction(ready);
            }
            else
            {
                _readyTransactions.Enqueue(ready);
            }
        });
        return ready.Done.Task;
    }

    /// <summary>Bodies whose commit will not come: their transactions are rolled back at once.</summary>
    private void DropReadyTransactions()
    {
        while (_readyTransactions.TryDequeue(out var ready))
        {
            ready.Done.SetResult(new TransactionReply(TransactionOutcome.Fenced, default));
        }
    }

    private BodyCommand? _exclusiveUnderWay;

    /// <summary>Commits the transaction with everything that is ready; if it fails, only the transaction does.</summary>
    private void CommitTransaction(ReadyTransaction ready)
    {
        try
        {
            SubmitTransaction(ready);
        }
        catch
        {
            ready.Done.SetResult(new TransactionReply(TransactionOutcome.Fenced, default)); // Else body and connection would wait for ever.
            throw;
        }
    }

    private void SubmitTransaction(ReadyTransaction ready)
    {
        var command = ready.Attempt.Command;
        if (Complete(command, new JournalRow(command.CompletedKind, command.Seq, command.Name, ready.Result), ready.Messages) is not { } row)
        {
            ready.Done.SetResult(new TransactionReply(TransactionOutcome.Fenced, default)); // Nobody asks for it any more.
            return;
        }

        var entry = Seal(out var draft);
        _inFlight = new CommitUnderWay(draft, row, _engine.Time.GetTimestamp());
        _ = CommitTransactionAsync(ready, entry);
    }

    private async Task CommitTransactionAsync(ReadyTransaction ready, Entry entry)
    {
        TransactionReply reply;
        try
        {
            reply = await ready.Session.CommitAsync(entry);
        }
        catch (Exception error)
        {
            reply = TransactionCommit.Aborted(ready.Session, entry, error);
        }

        Post(() =>
        {
            try
            {
                if (!_gone)
                {
                    TransactionReplied(entry, reply);
                }
            }
            finally
            {
                ready.Done.SetResult(reply); // Whatever the reply leads to, body and connection are done with.
            }
        });
    }

    private void TransactionReplied(Entry entry, TransactionReply reply)
    {
        var (draft, row, _) = _inFlight!;
        _exclusiveUnderWay = null;
        switch (reply.Outcome)
        {
            case TransactionOutcome.Committed:
                Replied(entry, reply.Commit);
                break;
            case TransactionOutcome.Fenced:
                Replied(entry, new CommitReply(CommitOutcome.Fenced, default, _epoch));
                break;
            default:
                _inFlight = null;
                _epoch = Math.Max(_epoch, reply.Commit.Epoch);
                _draft.Restore(draft, without: other => ReferenceEquals(other, row));
                break;
        }
    }
}
