using System.Data;
using Actors.Storage;
using Actors.Wire;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>The effects of commands: bodies of steps and transactions, timers, messages.</summary>
internal sealed partial class WorkflowInstance
{
    private static readonly TimeSpan LookAtLease = TimeSpan.FromMilliseconds(250);

    private readonly Queue<ReadyTransaction> _readyTransactions = new();
    private readonly Queue<BodyCommand> _exclusive = new();
    private readonly Dictionary<int, DueTimer> _wakes = []; // By the command's seq.
    private int _running;

    /// <summary>Sets a command going that the code gave live, or that the replay left open.</summary>
    private void Launch(Command command)
    {
        if (!_code.Outstanding.ContainsKey(command.Seq))
        {
            return; // Completed in replay.
        }

        switch (command)
        {
            case BodyCommand { RetryAt: { } due } body:
                WakeAt(body, due, () => Begin(body));
                break;
            case BodyCommand body:
                Begin(body);
                break;
            case TimerCommand timer:
                if (!timer.Recorded)
                {
                    timer.Recorded = true;
                    _draft.Add(new JournalRow(JournalKind.TimerSet, timer.Seq, timer.Name, default) { DueAt = timer.DueAt });
                }

                WakeAt(timer, timer.DueAt, () => Fire(timer));
                break;
            case PublishCommand { Recorded: false, Message: { } message } publish:
                publish.Recorded = true;
                _draft.Add(new JournalRow(JournalKind.Published, publish.Seq, publish.Name, default), [message]);
                break;
        }
    }

    /// <summary>Live: a row that plans another attempt has committed.</summary>
    private void Recorded(JournalRow row)
    {
        if (row.Kind == JournalKind.AttemptFailed && _code.Outstanding.TryGetValue(row.Seq, out var command))
        {
            Launch(command);
        }
    }

    private void GiveUpTimers()
    {
        foreach (var seq in _code.TakeGivenUpTimers())
        {
            _draft.ClearTimer(seq);
            if (_wakes.Remove(seq, out var wake))
            {
                wake.GiveUp();
            }
        }
    }

    private static bool NeedsTimerRow(Command command) => command is TimerCommand || command is BodyCommand { RetryAt: not null };

    /// <summary>Looks again at the time, and at least every half minute: the database's clock may be moved.</summary>
    private void WakeAt(Command command, DateTimeOffset due, Action action)
    {
        var look = _engine.Clock.Now + TimeSpan.FromSeconds(30);
        _wakes[command.Seq] = _engine.Timers.Schedule(due < look ? due : look, () => Post(() =>
        {
            if (_gone)
            {
                return;
            }

            if (_engine.Clock.Now < due)
            {
                WakeAt(command, due, action);
            }
            else
            {
                _wakes.Remove(command.Seq);
                action();
            }
        }));
    }

    private void GiveUpWakes()
    {
        foreach (var wake in _wakes.Values)
        {
            wake.GiveUp();
        }

        _wakes.Clear();
    }

    private void Fire(TimerCommand timer)
    {
        if (_code.Outstanding.ContainsKey(timer.Seq) && !timer.Fired)
        {
            timer.Fired = true;
            _draft.AddFired(new JournalRow(JournalKind.TimerFired, timer.Seq, timer.Name, default), timer.DueAt);
        }
    }

    private void Begin(BodyCommand command)
    {
        if (_gone || command.Attempt is not null || !_code.Outstanding.ContainsKey(command.Seq) || _code.HasEnded || _givingAway)
        {
            return;
        }

        if (_engine.Lease.IsLost)
        {
            _ = Task.Delay(LookAtLease, _engine.Time).ContinueWith(_ => Post(() => Begin(command)), TaskScheduler.Default);
            return; // Another silo may have begun it.
        }

        if (command is ITransactionBody { Options.Isolation: not IsolationLevel.ReadCommitted and not IsolationLevel.ReadUncommitted and not IsolationLevel.Unspecified })
        {
            _exclusive.Enqueue(command);
        }
        else
        {
            Run(command);
        }
    }

    private void Run(BodyCommand command)
    {
        var attempt = command.Attempt = new Attempt(command);
        _running++;
        Interlocked.Increment(ref _bodies);
        if (_takesBody && _nextBody is null)
        {
            _nextBody = attempt;
        }
        else
        {
            RunElsewhere(attempt);
        }
    }

    private void RunElsewhere(Attempt attempt) => _ = Task.Run(() => RunBodyAsync(attempt));

    private Task RunBodyAsync(Attempt attempt)
    {
        Ambient.Drop();
        var running = attempt.Command is IStepBody step ? RunStepAsync(attempt, step) : RunTransactionAsync(attempt, (ITransactionBody)attempt.Command);
        Ambient.Drop(); // What the body has left is not for whoever has this thread next.
        return running;
    }

    /// <summary>Above READ COMMITTED the body's snapshot must not be outdated by commits of its own workflow: it takes the commit turn.</summary>
    private void RunExclusive(BodyCommand command)
    {
        _inFlight = new CommitUnderWay(new Draft(), null, Since: 0);
        _exclusiveUnderWay = command;
        Run(command);
    }

    private async Task RunStepAsync(Attempt attempt, IStepBody step)
    {
        var command = attempt.Command;
        var messages = new MessageBuffer(_engine.Messages);
        Watch(attempt);
        try
        {
            var result = await step.RunAsync(new StepContext(attempt, IdempotencyKey(command), messages), _engine.Payloads);
            var published = messages.Close();
            CheckSize(command, result, published);
            PostHere(() =>
            {
                if (End(attempt))
                {
                    Complete(command, new JournalRow(command.CompletedKind, command.Seq, command.Name, result), published);
                }
            });
        }
        catch (Exception error)
        {
            PostHere(() =>
            {
                if (End(attempt))
                {
                    Failed(command, error);
                }
            });
        }
        finally
        {
            BodyEnded();
        }
    }

    /// <summary>The attempt is over. False when that was known, or nothing that comes of it counts: its run is given away or
    /// gone.</summary>
    private bool End(Attempt attempt)
    {
        var command = attempt.Command;
        if (command.Attempt != attempt)
        {
            return false;
        }

        command.Attempt = null;
        attempt.Timer?.Dispose();
        _running--;
        if (_exclusiveUnderWay == command)
        {
            (_exclusiveUnderWay, _inFlight) = (null, null);
        }

        return !_gone && !_givingAway;
    }

    private void CheckSize(BodyCommand command, Payload result, IReadOnlyList<OutgoingMessage> messages)
    {
        var size = result.Size + OutgoingMessage.SizeOf(messages);
        if (size > _engine.Options.EntrySizeMax)
        {
            throw new PayloadTooLargeException(
                $"{command} of workflow '{Id}': {size:N0} bytes of result and messages, the limit (EntrySizeMax) is {_engine.Options.EntrySizeMax:N0}.");
        }
    }

    /// <summary>Returns the row as it will be written, or null when nobody asks for it any more.</summary>
    private JournalRow? Complete(BodyCommand command, JournalRow row, IReadOnlyList<OutgoingMessage>? messages) =>
        _gone || !_code.Outstanding.ContainsKey(command.Seq) || _code.HasEnded
            ? null
            : _draft.Add(row, messages, endsTimer: command.RetryAt is not null && row.DueAt is null);

    /// <summary>A failed attempt: planned again, or the command's final outcome. Either is a row like any other.</summary>
    private void Failed(BodyCommand command, Exception error)
    {
        (command.Interruptions, command.InterruptedAt) = (0, 0);
        var payload = ErrorPayload(error, $"Error of {command}");
        if (PauseAfter(command, error) is { } wait)
        {
            var level = command.Failures + 1 < FailuresBeforeProblem ? LogLevel.Information : LogLevel.Warning;
            var said = ErrorText.Loggable(error);
            LogAttemptFailed(level, Id, command.Failures + 1, command, wait, said);
            Complete(command, new JournalRow(JournalKind.AttemptFailed, command.Seq, command.Name, payload) { DueAt = DueTime.After(_engine.Clock.Now, wait) }, null);
        }
        else
        {
            Complete(command, new JournalRow(command.FailedKind, command.Seq, command.Name, payload), null);
        }
    }

    /// <summary>Null: it is not tried again. What cannot be stored would not fit the next time either, and a predicate that throws has not
    /// said yes.</summary>
    private TimeSpan? PauseAfter(BodyCommand command, Exception error)
    {
        try
        {
            return error is PayloadException or PayloadTooLargeException or UnknownTopicException ? null : command.Retry.PauseAfter(command.Failures + 1, error);
        }
        catch (Exception thrown)
        {
            LogPredicateThrew(Id, command.ToString(), ErrorText.Loggable(thrown));
            return null;
        }
    }

    private string IdempotencyKey(BodyCommand command) => $"{Row.Run:N}-{command.Seq}"
#if PLANTED_BUGS
        + (Planted.Is("idempotency key per attempt") ? $"-{command.Failures}" : "")
#endif
        ;
}
