using System.Data;
using Actors.Programs;
using Actors.Storage;
using Actors.Wire;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>
/// What a run's commands set going: bodies, each try with a cancellation of its own, timers and rows. Of what ends, the outcome goes into
/// the run's draft, and nothing else. Its members belong to the run's thread, but for the bodies themselves.
/// </summary>
internal sealed partial class Effects(ResidentRun run, SharedScope scope) : IEffects
{
    private static readonly TimeSpan LeaseCheck = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan ClockCheck = TimeSpan.FromSeconds(30);

    private readonly Queue<ReadyTransaction> _ready = new();
    private readonly Queue<BodyCommand> _exclusive = new();
    private readonly Dictionary<int, DueTimer> _timers = []; // By the command's number.
    private readonly EngineContext _engine = run.Engine;
    private int _running;
    private long _firstLimit = long.MaxValue;

    public bool HasRunning => _running > 0;

    /// <summary>No body runs, waits for its turn or has one.</summary>
    public bool IsIdle => _running == 0 && _exclusive.Count == 0 && _ready.Count == 0;

    /// <summary>Sets a command going that the code gave live, or that the replay left open.</summary>
    public void Launch(Command command)
    {
        if (IsOutstanding(command)) // Else it was completed in replay.
        {
            command.Launch(this);
        }
    }

    /// <summary>The row has just been committed, and the code told: it may plan another try.</summary>
    public void GoOn(JournalRow row)
    {
        if (run.Program.Outstanding.TryGetValue(row.Seq, out var command) && command.GoesOnAfter(row.Kind))
        {
            command.Launch(this);
        }
    }

    /// <summary>What this command recorded was early by the database's clock.</summary>
    public void TooEarly(int seq)
    {
        if (run.Program.Outstanding.TryGetValue(seq, out var command))
        {
            command.TooEarly();
            command.Launch(this);
        }
    }

    /// <summary>The command's outcome came otherwise: its timer is cleared with the next commit.</summary>
    public void GiveUp(int seq)
    {
        run.Draft.ClearTimer(seq);
        if (_timers.Remove(seq, out var timer))
        {
            timer.GiveUp();
        }
    }

    public void Record(JournalRow row, IReadOnlyList<OutgoingMessage>? messages = null, DateTimeOffset? notBefore = null)
    {
        if (run.Program.Outstanding.ContainsKey(row.Seq))
        {
            run.Draft.Add(row, messages, endsTimer: notBefore is not null, notBefore);
        }
    }

    /// <summary>Looks again at the time, and at least every half minute: the database's clock may be moved.</summary>
    public void At(DateTimeOffset due, Command command, Action action)
    {
        var look = _engine.Clock.Now + ClockCheck;
        _timers[command.Seq] = _engine.Timers.Schedule(due < look ? due : look, () => run.Post(() =>
        {
            if (run.Evicted is not null)
            {
                return;
            }

            if (_engine.Clock.Now < due)
            {
                At(due, command, action);
            }
            else
            {
                _timers.Remove(command.Seq);
                action();
            }
        }));
    }

    public void Begin(BodyCommand command)
    {
        if (run.Evicted is not null || run.IsReleasing || run.Program.HasEnded || command.Attempt is not null || !IsOutstanding(command))
        {
            return;
        }

        if (_engine.Lease.IsLost)
        {
            BeginAfter(LeaseCheck, command); // Another silo may have begun it.
        }
        else if (command is ITransactionBody transaction && IsExclusive(transaction.Options.Isolation))
        {
            _exclusive.Enqueue(command);
        }
        else
        {
            Run(command);
        }
    }

    /// <summary>The next body that takes the run's turn to commit along.</summary>
    public bool TryTakeExclusive([System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out BodyCommand command) =>
        _exclusive.TryDequeue(out command);

    public void Run(BodyCommand command)
    {
        var attempt = command.Attempt = new Attempt(command, run.Row.Run, _engine.Services);
        _running++;
        scope.Hold();
        run.RunBody(attempt);
    }

    /// <summary>Called on the thread where the body runs.</summary>
    public Task RunAsync(Attempt attempt)
    {
        Ambient.Drop();
        var running = attempt.Command is IStepBody step ? RunStepAsync(attempt, step)
            : RunTransactionAsync(attempt, (ITransactionBody)attempt.Command);
        Ambient.Drop(); // What the body has left is not for whoever has this thread next.
        return running;
    }

    /// <summary>Tells all bodies to end. The run leaves this silo: what becomes of them counts for nothing, and the next owner begins them
    /// again.</summary>
    public void CancelAttempts()
    {
        foreach (var attempt in Attempts())
        {
            attempt.Cancel();
        }
    }

    /// <summary>The run is out of memory. Transactions whose commit will not come are rolled back at once.</summary>
    public void End()
    {
        CancelAttempts();
        foreach (var timer in _timers.Values)
        {
            timer.GiveUp();
        }

        _timers.Clear();
        while (_ready.TryDequeue(out var ready))
        {
            ready.Done.SetResult(new CommitReply(CommitOutcome.Fenced, default, 0));
        }

        scope.LetGo();
    }

    /// <summary>Above READ COMMITTED what the transaction read must not change until its commit: it takes the run's turn along.</summary>
    private static bool IsExclusive(IsolationLevel level) =>
        level is not (IsolationLevel.ReadCommitted or IsolationLevel.ReadUncommitted or IsolationLevel.Unspecified);

    private bool IsOutstanding(Command command) => run.Program.Outstanding.ContainsKey(command.Seq);

    private void BeginAfter(TimeSpan pause, BodyCommand command) =>
        _ = Task.Delay(pause, _engine.Time).ContinueWith(_ => run.Post(() => Begin(command)), TaskScheduler.Default);

    private async Task RunStepAsync(Attempt attempt, IStepBody step)
    {
        var command = attempt.Command;
        var messages = new MessageBuffer(_engine.Messages);
        Watch(attempt);
        try
        {
            var result = await step.RunAsync(new StepContext(attempt, messages), _engine.Payloads);
            await EndScopeAsync(attempt);
            var published = messages.Close();
            CheckSize(command, result, published);
            run.PostHere(() =>
            {
                if (EndAttempt(attempt))
                {
                    Complete(command, OutcomeOf(attempt, command.CompletedKind, result), published);
                }
            });
        }
        catch (Exception error)
        {
            await EndScopeAsync(attempt);
            run.PostHere(() =>
            {
                if (EndAttempt(attempt))
                {
                    Failed(attempt, error);
                }
            });
        }
        finally
        {
            scope.LetGo();
        }
    }

    /// <summary>The body has returned: what it took of <see cref="StepContext.Services"/> ends before its outcome is recorded.</summary>
    private async ValueTask EndScopeAsync(Attempt attempt)
    {
        try
        {
            await attempt.EndScopeAsync();
        }
        catch (Exception error)
        {
            LogScopeFailed(run.Log, run.Id, attempt.Command, ErrorText.Loggable(error));
        }
    }

    /// <summary>The attempt is over. False when that was known, or nothing that comes of it counts: its run is given away or
    /// gone.</summary>
    private bool EndAttempt(Attempt attempt)
    {
        var command = attempt.Command;
        if (command.Attempt != attempt)
        {
            return false;
        }

        command.Attempt = null;
        attempt.Timer?.Dispose();
        _running--;
        run.GiveBackTurn(command);
        return run.Evicted is null && !run.IsReleasing;
    }

    private void CheckSize(BodyCommand command, Payload result, IReadOnlyList<OutgoingMessage> messages)
    {
        var size = result.Size + OutgoingMessage.SizeOf(messages);
        if (size > _engine.Options.EntrySizeMax)
        {
            throw new PayloadTooLargeException(
                $"{command} of workflow '{run.Id}': {size:N0} bytes of result and messages, the limit (EntrySizeMax) is "
                    + $"{_engine.Options.EntrySizeMax:N0}.");
        }
    }

    /// <summary>Returns the row as it will be written, or null when nobody asks for it any more.</summary>
    private JournalRow? Complete(BodyCommand command, JournalRow row, IReadOnlyList<OutgoingMessage>? messages) =>
        run.Evicted is not null || !IsOutstanding(command) || run.Program.HasEnded
            ? null
            : run.Draft.Add(row, messages, endsTimer: command.HasTimer && row.DueAt is null);

    private JournalRow OutcomeOf(Attempt attempt, JournalKind kind, Payload payload) =>
        new(kind, attempt.Command.Seq, attempt.Command.Name, payload)
        {
            TookMilliseconds = attempt.BegunAt is 0 ? null
                : (int)Math.Min(_engine.Time.GetElapsedTime(attempt.BegunAt).TotalMilliseconds, int.MaxValue),
        };

    /// <summary>A failed attempt: planned again, or the command's final outcome. Either is a row like any other.</summary>
    private void Failed(Attempt attempt, Exception error)
    {
        var command = attempt.Command;
        (command.Interruptions, command.InterruptedAt) = (0, 0);
        var payload = Answers.Record(error, _engine.Payloads, $"Error of {command}");
        if (PauseAfter(command, error) is { } wait)
        {
            var level = command.Failures + 1 < FailuresBeforeProblem ? LogLevel.Information : LogLevel.Warning;
            var said = ErrorText.Loggable(error);
            LogAttemptFailed(run.Log, level, run.Id, command.Failures + 1, command, wait, said);
            Complete(command, OutcomeOf(attempt, JournalKind.AttemptFailed, payload) with
            {
                DueAt = DueTime.After(_engine.Clock.Now, wait),
            }, null);
        }
        else
        {
            Complete(command, OutcomeOf(attempt, command.FailedKind, payload), null);
        }
    }

    /// <summary>Null: it is not tried again. What cannot be stored would not fit the next time either, and a predicate that throws has not
    /// said yes.</summary>
    private TimeSpan? PauseAfter(BodyCommand command, Exception error)
    {
        try
        {
            return error is PayloadException or PayloadTooLargeException or UnknownTopicException ? null
                : command.Retry.PauseAfter(command.Failures + 1, error);
        }
        catch (Exception thrown)
        {
            LogPredicateThrew(run.Log, run.Id, command.ToString(), ErrorText.Loggable(thrown));
            return null;
        }
    }

    [LoggerMessage(211, LogLevel.Warning, "Workflow '{Id}': a service that {Command} had taken threw when it was disposed of.")]
    private static partial void LogScopeFailed(ILogger log, WorkflowId id, Command command, Exception error);

    [LoggerMessage(208, LogLevel.Warning, "Workflow '{Id}': the predicate of the Retry of {Step} threw: the step is not tried again.")]
    private static partial void LogPredicateThrew(ILogger log, WorkflowId id, string step, Exception error);

    [LoggerMessage(EventId = 204, Message = "Workflow '{Id}': attempt {Attempt} of {Step} failed, next in {Pause}.")]
    private static partial void LogAttemptFailed(
        ILogger log, LogLevel level, WorkflowId id, int attempt, Command step, TimeSpan pause, Exception error);
}
