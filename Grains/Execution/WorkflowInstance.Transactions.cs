using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>Transactions of user code: the body runs beside the code, its commit takes the run's turn and carries what else is ready.</summary>
internal sealed partial class WorkflowInstance
{
    private sealed record ReadyTransaction(
        BodyCommand Command, TransactionCommit Session, Payload Result, IReadOnlyList<OutgoingMessage> Messages, TaskCompletionSource<TransactionReply> Done);

    private async Task RunTransactionAsync(BodyCommand command, ITransactionBody transaction)
    {
        var reply = await TryTransactionAsync(command, transaction);
        if (reply.Outcome == TransactionOutcome.Again)
        {
            // A conflict, or Postgres is away: not the body's failure, so it does not count as an attempt.
            await Task.Delay(PostgresFaults.Pause(++command.Interruptions), CancellationToken.None);
        }

        Post(() =>
        {
            _running--;
            if (_exclusiveUnderWay == command)
            {
                (_exclusiveUnderWay, _inFlight) = (null, null);
            }

            if (reply.Outcome == TransactionOutcome.Again && !_gone)
            {
                Attempt(command);
            }
            else if (reply.Outcome == TransactionOutcome.Failed)
            {
                Failed(command, reply.Error!);
            }
        });
    }

    private async Task<TransactionReply> TryTransactionAsync(BodyCommand command, ITransactionBody transaction)
    {
        TransactionCommit? session = null;
        Task? abandoned = null;
        try
        {
            session = await TransactionCommit.BeginAsync(_engine.Database, _engine.Journal, transaction.Options.Isolation, _stop.Token);
            var messages = new MessageBuffer(_engine.Messages);
            var result = await WithinAttemptAsync(
                command,
                token => transaction.RunAsync(
                    new TransactionContext(session.Connection, session.Transaction, IdempotencyKey(command), command.Failures + 1, messages, token), _engine.Payloads),
                body => abandoned = body);
            CheckSize(command, result, messages.Messages);
            if (session.HasEnded)
            {
                return new TransactionReply(TransactionOutcome.Failed, default, new InvalidOperationException(
                    $"The body of {command} ended its transaction: the engine commits it. Throw to roll back."));
            }

            var done = new TaskCompletionSource<TransactionReply>(TaskCreationOptions.RunContinuationsAsynchronously);
            Post(() =>
            {
                if (_gone || _code.HasEnded)
                {
                    done.SetResult(new TransactionReply(TransactionOutcome.Fenced, default));
                    return;
                }

                var ready = new ReadyTransaction(command, session, result, messages.Messages, done);
                if (_exclusiveUnderWay == command)
                {
                    CommitTransaction(ready);
                }
                else
                {
                    _readyTransactions.Enqueue(ready);
                }
            });
            return await done.Task;
        }
        catch (Exception error)
        {
            return TransactionCommit.Aborted(session, null, error);
        }
        finally
        {
            if (session is not null)
            {
                await CloseAsync(session, abandoned);
            }
        }
    }

    /// <summary>A body that was given up for its time may still use the connection: it is closed, and rolled back, when the body has ended.</summary>
    private async ValueTask CloseAsync(TransactionCommit session, Task? abandoned)
    {
        if (abandoned is null)
        {
            await session.DisposeAsync();
        }
        else
        {
            _ = abandoned.ContinueWith(_ => session.DisposeAsync().AsTask(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
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
        if (Complete(ready.Command, new JournalRow(ready.Command.CompletedKind, ready.Command.Seq, ready.Command.Name, ready.Result), ready.Messages) is not { } row)
        {
            ready.Done.SetResult(new TransactionReply(TransactionOutcome.Fenced, default)); // Nobody asks for it any more.
            return;
        }

        var entry = Seal(out var draft);
        _inFlight = new CommitUnderWay(draft, row);
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
            if (!_gone)
            {
                TransactionReplied(ready, entry, reply);
            }

            ready.Done.SetResult(reply);
        });
    }

    private void TransactionReplied(ReadyTransaction ready, Entry entry, TransactionReply reply)
    {
        var (draft, row) = _inFlight!;
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
