using Actors.Programs;
using Actors.Storage;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>Attempts that go on and on: limits on their time, interruptions, and what the status says of them.</summary>
internal sealed partial class Effects
{
    private const int InterruptionsMax = 10;
    private const int InterruptionsBeforeProblem = 3;
    private const int FailuresBeforeProblem = 3;
    private static readonly TimeSpan InterruptedMax = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongAfter = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Soon = TimeSpan.FromMinutes(1);

    public WorkflowId Id => run.Id;

    /// <summary>Called from outside now and then: attempts whose time is up end.</summary>
    public void CheckAttempts()
    {
        if (_engine.Time.GetTimestamp() >= Volatile.Read(ref _firstLimit))
        {
            run.Post(EndLateAttempts);
        }
    }

    /// <summary>The body's time is up, or its session is: it may go on, but the attempt has failed, and with it the turn to commit is free
    /// again.</summary>
    public void Abandon(Attempt attempt, Exception error) => run.Post(() => AbandonHere(attempt, error));

    /// <summary>Why bodies do not get on, or null.</summary>
    public string? Problem()
    {
        foreach (var command in run.Program.Outstanding.Values.OfType<BodyCommand>())
        {
            var (times, first) = command.Waits > 0 ? (command.Waits, command.WaitsSince) : (command.Interruptions, command.InterruptedAt);
            if (times >= InterruptionsBeforeProblem || (times > 0 && _engine.Time.GetElapsedTime(first) > LongAfter))
            {
                var seconds = $"{_engine.Time.GetElapsedTime(first).TotalSeconds:0} s";
                return command.Waits > 0 ? $"{command} has had no connection to Postgres for {seconds}."
                    : $"{command} was interrupted {times} times in {seconds}: by conflicts, or it lost its connection.";
            }

            if (command.Attempt is { BegunAt: not 0 and var begun } attempt && _engine.Time.GetElapsedTime(begun) is var running
                && running > LongAfter)
            {
                return $"{command} runs since {_engine.Clock.Now - running:u} (attempt {command.Failures + 1}); its time ends after "
                    + $"{Limit(attempt)}.";
            }

            if (command.Failures >= FailuresBeforeProblem)
            {
                var last = Answers.Recorded(command.LastFailure, _engine.Payloads, $"Error of {command}");
                return $"{command} has failed {command.Failures} times, last with {last.Type}: {last.Message}";
            }
        }

        return null;
    }

    /// <summary>The body begins, on whatever thread.</summary>
    private void Watch(Attempt attempt)
    {
        attempt.Begin(_engine.Time.GetTimestamp());
        CheckNotAfter(OverAt(attempt));
        if (Limit(attempt) is var limit && limit < Soon)
        {
            attempt.Timer = _engine.Time.CreateTimer(_ => CheckAttempts(), null, limit, Timeout.InfiniteTimeSpan);
        }
    }

    private void CheckNotAfter(long time)
    {
        for (var first = Volatile.Read(ref _firstLimit); time < first;)
        {
            var found = Interlocked.CompareExchange(ref _firstLimit, time, first);
            if (found == first)
            {
                return;
            }

            first = found;
        }
    }

    private void EndLateAttempts()
    {
        Interlocked.Exchange(ref _firstLimit, long.MaxValue); // Before the look: what begins meanwhile says so itself.
        foreach (var attempt in Attempts().Where(attempt => !attempt.IsReady).ToList())
        {
            if (OverAt(attempt) is var over && over > _engine.Time.GetTimestamp())
            {
                CheckNotAfter(over);
            }
            else
            {
                AbandonHere(attempt, new TimeoutException(
                    $"{attempt.Command} of workflow '{Id}' did not end within {Limit(attempt)} (attempt {attempt.Command.Failures + 1})."));
            }
        }
    }

    private void AbandonHere(Attempt attempt, Exception error)
    {
        if (attempt.IsReady)
        {
            return; // A commit is on its way, and is waited for.
        }

        attempt.Cancel();
        if (EndAttempt(attempt))
        {
            Failed(attempt, error);
        }
    }

    private IEnumerable<Attempt> Attempts() =>
        run.Program.Outstanding.Values.OfType<BodyCommand>().Select(body => body.Attempt).OfType<Attempt>();

    private TimeSpan Limit(Attempt attempt) => attempt.Command.Retry.AttemptTimeout ?? _engine.Options.AttemptTimeout;

    private long OverAt(Attempt attempt)
    {
        var (begun, ticks) = (attempt.BegunAt, Limit(attempt).TotalSeconds * _engine.Time.TimestampFrequency);
        return begun != 0 && ticks < long.MaxValue - begun ? begun + (long)ticks : long.MaxValue;
    }

    /// <summary>An attempt that lost a conflict or its connection runs again without counting, for a while: from then on it has failed like
    /// any other.</summary>
    private void Interrupted(Attempt attempt, bool hadBody, Exception? error)
    {
        var command = attempt.Command;
        var now = _engine.Time.GetTimestamp();
        if (!hadBody)
        {
            WaitOn(command, error!, now);
            return;
        }

        (command.Waits, command.InterruptedAt) = (0, command.Waits > 0 || command.Interruptions == 0 ? now : command.InterruptedAt);
        command.Interruptions++;
        if (PostgresFaults.IsStalePlan(error))
        {
            _engine.Database.Users.Clear(); // Each of its connections has that plan.
        }

        error ??= new InvalidOperationException("the database's fence did not let it pass");
        var since = _engine.Time.GetElapsedTime(command.InterruptedAt);
        if (command.IsWorn || command.Interruptions > InterruptionsMax || since > InterruptedMax)
        {
            command.IsWorn = true;
            Failed(attempt, error);
            return;
        }

        BeginAgain(command, command.Interruptions, error);
    }

    /// <summary>It has no connection: no attempt, and without an end.</summary>
    private void WaitOn(BodyCommand command, Exception error, long now)
    {
        if (command.Waits++ == 0)
        {
            command.WaitsSince = now;
        }

        BeginAgain(command, command.Waits, error);
    }

    private void BeginAgain(BodyCommand command, int times, Exception error)
    {
        var (pause, reason) = (PostgresFaults.Pause(times), ErrorText.MessageOf(error));
        var level = times < InterruptionsBeforeProblem ? LogLevel.Information : LogLevel.Warning;
        LogInterrupted(run.Log, level, Id, command, times, pause, reason);
        BeginAfter(pause, command);
    }

    [LoggerMessage(EventId = 207,
        Message = "Workflow '{Id}': {Step} was interrupted, {Count} time(s) by now, and runs again in {Pause}: {Reason}")]
    private static partial void LogInterrupted(
        ILogger log, LogLevel level, WorkflowId id, Command step, int count, TimeSpan pause, string reason);
}
