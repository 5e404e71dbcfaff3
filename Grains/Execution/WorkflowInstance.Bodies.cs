using System.Data;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>The effects of commands: bodies of steps and transactions, timers, messages.</summary>
internal sealed partial class WorkflowInstance
{
    private readonly Queue<ReadyTransaction> _readyTransactions = new();
    private readonly Queue<BodyCommand> _exclusive = new();
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
                WakeAt(due, () => Attempt(body));
                break;
            case BodyCommand body:
                Attempt(body);
                break;
            case TimerCommand timer:
                if (!timer.Recorded)
                {
                    timer.Recorded = true;
                    _draft.Add(new JournalRow(JournalKind.TimerSet, timer.Seq, timer.Name, default) { DueAt = timer.DueAt });
                }

                WakeAt(timer.DueAt, () => Fire(timer));
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
        }
    }

    private static bool NeedsTimerRow(Command command) => command is TimerCommand || command is BodyCommand { RetryAt: not null };

    /// <summary>Looks again at the time, and at least every half minute, so that a run that left memory is not held by its timers.</summary>
    private void WakeAt(DateTimeOffset due, Action action)
    {
        var look = _engine.Clock.Now + TimeSpan.FromSeconds(30);
        _engine.Timers.Schedule(due < look ? due : look, () =>
        {
            if (!Volatile.Read(ref _gone))
            {
                Post(() =>
                {
                    if (_gone)
                    {
                        return;
                    }

                    if (_engine.Clock.Now < due)
                    {
                        WakeAt(due, action);
                    }
                    else
                    {
                        action();
                    }
                });
            }
        });
    }

    private void Fire(TimerCommand timer)
    {
        if (_code.Outstanding.ContainsKey(timer.Seq) && !timer.Fired)
        {
            timer.Fired = true;
            _draft.AddFired(new JournalRow(JournalKind.TimerFired, timer.Seq, timer.Name, default), timer.DueAt);
        }
    }

    private void Attempt(BodyCommand command)
    {
        if (!_code.Outstanding.ContainsKey(command.Seq) || _code.HasEnded || _givingAway)
        {
            return;
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
        _running++;
        if (_takesBody && _nextBody is null)
        {
            _nextBody = command;
        }
        else
        {
            RunElsewhere(command);
        }
    }

    private void RunElsewhere(BodyCommand command) => _ = Task.Run(() => RunBodyAsync(command));

    private Task RunBodyAsync(BodyCommand command)
    {
        Ambient.Drop();
        var running = command is IStepBody step ? RunStepAsync(command, step) : RunTransactionAsync(command, (ITransactionBody)command);
        Ambient.Drop(); // What the body has left is not for whoever has this thread next.
        return running;
    }

    /// <summary>Above READ COMMITTED the body's snapshot must not be outdated by commits of its own workflow: it takes the commit turn.</summary>
    private void RunExclusive(BodyCommand command)
    {
        _inFlight = new CommitUnderWay(new Draft(), null);
        _exclusiveUnderWay = command;
        Run(command);
    }

    private async Task RunStepAsync(BodyCommand command, IStepBody step)
    {
        var messages = new MessageBuffer(_engine.Messages);
        try
        {
            var result = await WithinAttemptAsync(command, token =>
                step.RunAsync(new StepContext(IdempotencyKey(command), command.Failures + 1, messages, token), _engine.Payloads));
            var published = messages.Messages;
            CheckSize(command, result, published);
            PostHere(() =>
            {
                _running--;
                Complete(command, new JournalRow(command.CompletedKind, command.Seq, command.Name, result), published);
            });
        }
        catch (Exception error)
        {
            PostHere(() =>
            {
                _running--;
                Failed(command, error);
            });
        }
    }

    /// <param name="abandon">Told of a body that goes on although its time is up.</param>
    private async Task<T> WithinAttemptAsync<T>(BodyCommand command, Func<CancellationToken, Task<T>> body, Action<Task>? abandon = null)
    {
        if (command.Retry.AttemptTimeout is not { } limit)
        {
            return await body(_stop.Token);
        }

        using var attempt = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        attempt.CancelAfter(limit);
        var running = Task.Run(() => body(attempt.Token), CancellationToken.None); // It may block before it first awaits.
        try
        {
            return await running.WaitAsync(limit, _engine.Time, _stop.Token);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException && attempt.IsCancellationRequested && !_stop.IsCancellationRequested)
        {
            throw new TimeoutException($"{command} of workflow '{Id}' did not end within {limit} (attempt {command.Failures + 1}).", error);
        }
        finally
        {
            if (!running.IsCompleted)
            {
                abandon?.Invoke(running);
            }
        }
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
        if (_gone || _stop.IsCancellationRequested)
        {
            return;
        }

        var payload = ErrorPayload(error, $"Error of {command}");
        var pause = error is PayloadException or PayloadTooLargeException or UnknownTopicException ? null : command.Retry.PauseAfter(command.Failures + 1, error);
        if (pause is { } wait)
        {
            LogAttemptFailed(Id, command.Failures + 1, command.ToString(), wait, error);
            Complete(command, new JournalRow(JournalKind.AttemptFailed, command.Seq, command.Name, payload) { DueAt = _engine.Clock.Now + wait }, null);
        }
        else
        {
            Complete(command, new JournalRow(command.FailedKind, command.Seq, command.Name, payload), null);
        }
    }

    private string IdempotencyKey(BodyCommand command) => $"{Row.Run:N}-{command.Seq}"
#if PLANTED_BUGS
        + (Planted.Is("idempotency key per attempt") ? $"-{command.Failures}" : "")
#endif
        ;
}
