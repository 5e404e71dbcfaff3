using Actors.Storage;
using Actors.Wire;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>
/// One run in memory. Everything that happens to it goes through its mailbox and is handled by one thread at a time: completions are
/// committed first and delivered to the code after, in the order of their positions. It has at most one commit under way.
/// </summary>
internal sealed partial class WorkflowInstance : IThreadPoolWorkItem
{

    private readonly EngineContext _engine;
    private readonly WorkflowCode _code;
    private readonly AsyncServiceScope _scope;
    private readonly ILogger _log;
    private readonly Action<WorkflowInstance> _left;
    private readonly Queue<Action> _mail = new();
    private readonly HashSet<string> _seenMessages = new(StringComparer.Ordinal);
    private readonly Told<ResultReply> _ended = new();
    private Draft _draft = new();
    private int _epoch;
    private int _position;
    private int _messages;
    private bool _handling;
    private bool _takesBody;
    private Attempt? _nextBody;
    private bool _gone;
    private bool _hadFaults; // Since the last commit.
    private int _waiters;
    private long _turnStartedAt;
    private long _restedAt;

    /// <param name="history">Is replayed first: whatever is asked of the run waits for that.</param>
    /// <param name="left">Called once, when the run is no longer in memory.</param>
    /// <param name="replayed">Called when the history is not needed any more.</param>
    public WorkflowInstance(
        EngineContext engine, StoredRun run, WorkflowType type, IReadOnlyList<JournalRow> history, IReadOnlyList<MailRow> mail, Action<WorkflowInstance> left,
        Action? replayed = null)
    {
        (_engine, Row, _left, _epoch, _position) = (engine, run, left, run.Epoch, -1);
        _log = engine.Loggers.CreateLogger($"Actors.Workflow.{type.Name}");
        _scope = engine.Services.CreateAsyncScope();
        _code = new WorkflowCode(run, type, _scope.ServiceProvider, engine.Payloads, engine.Messages, _log, EscapedCode);
        _restedAt = engine.Time.GetTimestamp();
        _hadFaults = engine.Faults.ContainsKey(Id);
        _past = engine.Findings.Mode == ReplayCheck.Off ? null : [];
        Enqueue(() =>
        {
            try
            {
                Replay(history, mail);
            }
            finally
            {
                replayed?.Invoke();
            }
        });
    }

    /// <summary>The run as it was claimed or started; epoch and position have moved since.</summary>
    public StoredRun Row { get; }

    public WorkflowId Id => Row.Id;

    public int Epoch => _epoch;

    public int Position => _position;

    /// <summary>What a look at the process found wrong with the turn under way, or null.</summary>
    public string? TurnProblem { get; set; }

    /// <summary>True once another owner was found to have the run.</summary>
    public bool WasFenced { get; private set; }

    /// <summary>True once a fault of the engine threw it out of memory: the database still names this silo as its owner.</summary>
    public bool LeavesByFault { get; private set; }

    /// <summary>Completes when the run is no longer in memory.</summary>
    public Task Left => _leftMemory.Task;

    private readonly TaskCompletionSource _leftMemory = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Replays the history and goes on from there, then handles what was posted since. Called once. On an <see cref="OwnThread"/> it goes next
    /// there: what it commits goes with what else the answers bring.</summary>
    public void Begin() => Schedule();

    private void Replay(IReadOnlyList<JournalRow> history, IReadOnlyList<MailRow> mail)
    {
        _code.Expect(history);
        if (history[^1].Kind == JournalKind.Started)
        {
            _code.GoLive(); // A new run: nothing to replay.
        }

        var lastEntry = history.LastOrDefault(row => row.Kind != JournalKind.SetAside)?.At;
        foreach (var row in history)
        {
            Take(row);
            if (_code.Violation is not null)
            {
                break;
            }

            if (row.At != lastEntry)
            {
                _code.TakeGivenUpTimers(); // Cleared with the entry that followed.
            }
        }

        _code.GoLive();
        _position = history[^1].Position; // Also where the code stopped half way: that is recorded at the end.
#if PLANTED_BUGS
        Planted.Do("claim and load in one statement", () => _position = Row.Position);
        Planted.Do("order of completions lost", () => _position = Row.Position);
        Planted.Do("signal id forgotten on reload", _seenMessages.Clear);
#endif
        if (_code.Violation is null)
        {
            TakeRefusals();
            while (_code.TryTakeIssued(out var command))
            {
                Launch(command);
            }

            GiveUpTimers();
            TakeMail(mail);
            ClearCrashes();
        }
    }

    /// <summary>Handles the action after everything that was posted before it, apart from the caller.</summary>
    private void Post(Action action)
    {
        if (Enqueue(action))
        {
            Schedule();
        }
    }

    private void Schedule() => OwnThread.GoNext(this);

    /// <summary>The same on this thread, unless another one is handling, or something surrounds it: for the end of what nobody waits
    /// for.</summary>
    /// <param name="takesBody">Nothing waits for this thread: it may also run a body that the handling gives out.</param>
    private void PostHere(Action action, bool takesBody = false)
    {
        if (!Enqueue(action))
        {
            return;
        }

        if (Ambient.IsNothing)
        {
            HandleAll(takesBody);
        }
        else
        {
            Schedule(); // A body of user code went on here when its user's own thread told it to.
        }
    }

    private bool Enqueue(Action action)
    {
        lock (_mail)
        {
            _mail.Enqueue(action);
            return !_handling && (_handling = true);
        }
    }

    void IThreadPoolWorkItem.Execute() => HandleAll(takesBody: true);

    /// <summary>Empties the mailbox. The body of a command that came out of it runs on this thread afterwards: a thread less to wake.</summary>
    private void HandleAll(bool takesBody)
    {
        _takesBody = takesBody;
        while (true)
        {
            Action? next;
            Attempt? body;
            lock (_mail)
            {
                (body, _nextBody) = (_nextBody, null);
                if (!_mail.TryDequeue(out next))
                {
                    _handling = false;
                }
            }

            if (next is null)
            {
                _ = body is null ? null : RunBodyAsync(body);
                return;
            }

            if (body is not null)
            {
                RunElsewhere(body); // More has come: the body does not wait for it.
            }

            Handle(next);
        }
    }

    private void Handle(Action action)
    {
        Volatile.Write(ref _turnStartedAt, _engine.Time.GetTimestamp());
        try
        {
            action();
            Advance();
        }
        catch (Exception error)
        {
            // Not the user's: those are caught where they are called. The run is untouched in the database; let it be loaded anew.
            GiveUp(error);
        }
        finally
        {
            Volatile.Write(ref _turnStartedAt, 0);
            Volatile.Write(ref _restedAt, _engine.Time.GetTimestamp());
        }
    }

    /// <summary>Leaves to be loaded anew, or, after fault upon fault, to be set aside instead.</summary>
    /// <param name="told">What who waits is told; null: to ask anew.</param>
    private void GiveUp(Exception error, Exception? told = null)
    {
        var said = $"{error.GetType().Name}: {ErrorText.MessageOf(error)}";
        var (count, _) = _engine.Faults.AddOrUpdate(Id, (1, said), (_, before) => (before.Count + 1, said));
        (_hadFaults, LeavesByFault) = (true, true);
        LogEngineFault(Id, count, ErrorText.Loggable(error));
        Leave(told ?? new MovedException(fenced: false));
    }

    /// <summary>Notes a committed row and tells the code.</summary>
    private void Take(JournalRow row)
    {
        _position = row.Position;
        _messages += row.Messages;
        Remember(row);
        if (row.MessageId is { } id)
        {
            _seenMessages.Add(id);
            _arriving.Remove(id);
        }

        _code.Deliver(row);
    }

    /// <summary>How long the turn under way has run, by the process's own clock; zero when at rest.</summary>
    public TimeSpan TurnTime => Volatile.Read(ref _turnStartedAt) is var started and not 0 ? _engine.Time.GetElapsedTime(started) : TimeSpan.Zero;

    /// <summary>Tells one turn from the next.</summary>
    public long TurnStamp => Volatile.Read(ref _turnStartedAt);

    /// <summary>The last command that the code gave, for messages about a turn that does not end.</summary>
    public string Whereabouts => _code.After;

    private void EscapedCode(string message) => Post(() => _code.Violate(message));

    /// <summary>Out of memory. Bodies are cancelled; who waits is told, and asks elsewhere or anew.</summary>
    /// <param name="withheld">Why who waits for the outcome is not told it.</param>
    private void Leave(Exception reason, ResultReply? outcome = null, Exception? withheld = null)
    {
        if (_gone)
        {
            return;
        }

        _gone = true;
        WasFenced = reason is MovedException { Fenced: true };
        CancelAttempts();
        GiveUpWakes();
        _left(this); // Before anyone is told: what they ask next finds the database's word.
        if (outcome is null || withheld is not null)
        {
            _ended.Fail(withheld ?? reason);
        }
        else
        {
            _ended.Tell(outcome);
        }

        DropReadyTransactions();
        // A signal that met the setting aside is not refused: asked again, it goes to the inbox.
        var answer = reason is WorkflowSetAsideException ? new MovedException(fenced: false) : reason;
        _inFlight?.Draft.Fail(answer);
        _draft.Fail(answer);
        _leftMemory.TrySetResult();
        BodyEnded();
    }

    private async Task DisposeScopeAsync()
    {
        try
        {
            await _scope.DisposeAsync();
        }
        catch (Exception error)
        {
            LogScopeFailed(Id, ErrorText.Loggable(error));
        }
    }

    [LoggerMessage(201, LogLevel.Error, "Workflow '{Id}' met a fault of the engine, {Count} time(s) by now, and is loaded anew.")]
    private partial void LogEngineFault(WorkflowId id, int count, Exception error);

    [LoggerMessage(202, LogLevel.Error, "Workflow '{Id}' is set aside: {Reason}")]
    private partial void LogSetAside(WorkflowId id, string reason);

    [LoggerMessage(203, LogLevel.Information, "Workflow '{Id}' has another owner than this silo; this silo gives way.")]
    private partial void LogFenced(WorkflowId id);

    [LoggerMessage(205, LogLevel.Warning, "Workflow '{Id}' cannot read message '{MessageId}' and leaves it in its inbox as undelivered: {Reason}")]
    private partial void LogRefusedMail(WorkflowId id, string messageId, string reason);

    [LoggerMessage(206, LogLevel.Warning, "Workflow '{Id}': a service of its scope threw when it was disposed of.")]
    private partial void LogScopeFailed(WorkflowId id, Exception error);

    [LoggerMessage(EventId = 207, Message = "Workflow '{Id}': {Step} was interrupted, {Count} time(s) by now, and runs again in {Pause}: {Reason}")]
    private partial void LogInterrupted(LogLevel level, WorkflowId id, Command step, int count, TimeSpan pause, string reason);

    [LoggerMessage(208, LogLevel.Warning, "Workflow '{Id}': the predicate of the Retry of {Step} threw: the step is not tried again.")]
    private partial void LogPredicateThrew(WorkflowId id, string step, Exception error);

    [LoggerMessage(209, LogLevel.Warning, "Workflow '{Id}': its inbox cannot be read, {Count} time(s) by now; again in {Pause}: {Reason}")]
    private partial void LogMailUnread(WorkflowId id, int count, TimeSpan pause, string reason);

    [LoggerMessage(EventId = 204, Message = "Workflow '{Id}': attempt {Attempt} of {Step} failed, next in {Pause}.")]
    private partial void LogAttemptFailed(LogLevel level, WorkflowId id, int attempt, Command step, TimeSpan pause, Exception error);
}
