using Actors.Programs;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>Transactions of user code: the body runs beside the code, its commit takes the run's turn and carries what else is
/// ready.</summary>
internal sealed partial class Effects
{
    /// <summary>It takes the run's turn to commit when that is free.</summary>
    public void Await(ReadyTransaction ready) => _ready.Enqueue(ready);

    public bool TryTakeReady([System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out ReadyTransaction ready) =>
        _ready.TryDequeue(out ready);

    /// <summary>The row of its outcome, in the draft, or null when nobody asks for it any more.</summary>
    public JournalRow? Complete(ReadyTransaction ready) => ready.Attempt.Command is var command
        ? Complete(command, OutcomeOf(ready.Attempt, command.CompletedKind, ready.Result), ready.Messages) : null;

    private async Task RunTransactionAsync(Attempt attempt, ITransactionBody transaction)
    {
        var (reply, hadBody) = await TryTransactionAsync(attempt, transaction);
        scope.LetGo();
        run.Post(() =>
        {
            if (!EndAttempt(attempt))
            {
                return;
            }

            if (reply.Outcome == CommitOutcome.Unmoved)
            {
                Interrupted(attempt, hadBody, reply.Error);
            }
            else if (reply.Outcome == CommitOutcome.Rejected)
            {
                Failed(attempt, reply.Error!);
            }
        });
    }

    private async Task<(CommitReply Reply, bool HadBody)> TryTransactionAsync(Attempt attempt, ITransactionBody transaction)
    {
        TransactionCommit? session = null;
        try
        {
            session = await _engine.Sessions.BeginAsync(this, attempt, transaction.Options.Isolation);
            Watch(attempt);
            var messages = new MessageBuffer(_engine.Messages);
            var result = await transaction.RunAsync(
                new TransactionContext(attempt, session.Connection, session.Transaction, messages),
                _engine.Payloads);
            await EndScopeAsync(attempt);
            var published = messages.Close();
            CheckSize(attempt.Command, result, published);
            if (session.HasEnded)
            {
                throw new InvalidOperationException(
                    $"The body of {attempt.Command} ended its transaction: the engine commits it. Throw to roll back.");
            }

            return (await ReadyAsync(new ReadyTransaction(attempt, session, result, published)), true);
        }
        catch (Exception error)
        {
            return (TransactionCommit.Aborted(session, null, error), session is not null);
        }
        finally
        {
            await EndScopeAsync(attempt);
            await _engine.Sessions.EndAsync(session);
        }
    }

    /// <summary>Waits for the run's turn to commit, and for the commit.</summary>
    private Task<CommitReply> ReadyAsync(ReadyTransaction ready)
    {
        run.Post(() =>
        {
            var attempt = ready.Attempt;
            if (run.Evicted is not null || run.Program.HasEnded || attempt.Command.Attempt != attempt || attempt.IsCancelled)
            {
                ready.Done.SetResult(new CommitReply(CommitOutcome.Fenced, default, 0)); // Nothing that ends after its token counts.
                return;
            }

            attempt.IsReady = true;
            run.OnReady(ready);
        });
        return ready.Done.Task;
    }
}

/// <summary>The body has returned; its transaction is open and waits for the run's turn to commit.</summary>
internal sealed record ReadyTransaction(Attempt Attempt, TransactionCommit Session, Payload Result, IReadOnlyList<OutgoingMessage> Messages)
{
    /// <summary>What became of it.</summary>
    public TaskCompletionSource<CommitReply> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
}
