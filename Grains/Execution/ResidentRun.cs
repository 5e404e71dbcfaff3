using Actors.Programs;
using Actors.Storage;
using Actors.Wire;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>
/// One run in memory. What happens to it goes through its work queue and is handled by one thread at a time; what it decides is committed
/// first and told to its program after, in the order of positions. It has at most one commit under way (<see cref="CommitTurn"/>), whose
/// outcome is the truth: whatever it could not commit, it forgets. It knows no user code; that is the program's and the effects'.
/// </summary>
internal sealed partial class ResidentRun
{
    private static readonly TimeSpan LongCommit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan AnswersWithin = TimeSpan.FromSeconds(1);

    private readonly ILogger _log;
    private readonly WorkQueue _queue;
    private readonly Inbox _inbox;
    private readonly ReplayComparison? _comparison;
    private readonly Action<ResidentRun> _left;
    private readonly Outcome<ResultReply> _ended = new();
    private readonly TaskCompletionSource _leftMemory = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CommitTurn _turn;
    private int _messages;
    private bool _clearsCrashes;
    private bool _hadFaults; // Since the last commit.
    private int _waiters;
    private string? _setAsideReason;

    /// <param name="history">Is replayed first: whatever is asked of the run waits for that.</param>
    /// <param name="left">Called once, when the run is no longer in memory.</param>
    /// <param name="replayed">Called when the history is not needed any more.</param>
    public ResidentRun(
        EngineContext engine, StoredRun run, WorkflowType type, IReadOnlyList<JournalRow> history, IReadOnlyList<LetterRow> letters,
        Action<ResidentRun> left,
        Action? replayed = null)
    {
        (Engine, Row, _left, Epoch, Position) = (engine, run, left, run.Epoch, -1);
        _log = engine.Loggers.CreateLogger($"Actors.Workflow.{type.Name}");
        (_queue, _inbox) = (new WorkQueue(this, engine.Time), new Inbox(this));
        var scope = new SharedScope(engine.Services.CreateAsyncScope(), Id, Log);
        Effects = new Effects(this, scope);
        // No lambda: it would keep the history.
        Program = type.Program(run, scope.Services, engine.Payloads, engine.Messages, Log, EscapedCode);
        _comparison = engine.Findings.Mode == ReplayCheck.Off ? null : new ReplayComparison(this);
        _hadFaults = engine.Faults.ContainsKey(Id);
        _queue.AddFirst(() =>
        {
            try
            {
                Replay(history, letters);
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

    public int Epoch { get; private set; }

    public int Position { get; private set; }

    public EngineContext Engine { get; }

    public ILogger Log => _log;

    public IProgram Program { get; }

    public Effects Effects { get; }

    /// <summary>What it commits next.</summary>
    public Draft Draft { get; private set; } = new();

    /// <summary>Why it has left memory; null while it is there.</summary>
    public Eviction? Evicted { get; private set; }

    /// <summary>It is given away: what goes on is not begun, and what ends now does not count.</summary>
    public bool IsReleasing { get; private set; }

    /// <summary>Completes when the run is no longer in memory.</summary>
    public Task Left => _leftMemory.Task;

    /// <summary>When the turn under way began, by the process's own clock; zero at rest. Tells one turn from the next.</summary>
    public long TurnSince => _queue.TurnSince;

    /// <summary>What a look at the process found wrong with the turn under way, or null.</summary>
    public string? TurnProblem { get; set; }

    /// <summary>Replays the history and goes on from there, then handles what was asked since. Called once. On an <see cref="OwnThread"/>
    /// it goes next there: what it commits goes with what else the answers bring.</summary>
    public void Begin() => _queue.Begin();

    /// <summary>Handles the work after all that was posted before it, apart from the caller, and then commits what is ready.</summary>
    public void Post(Action work) => _queue.Add(work);

    /// <summary>The same on this thread where that is free, for the end of what nobody waits for.</summary>
    public void PostHere(Action work) => _queue.AddHere(work);

    /// <summary>Runs the body beside the run.</summary>
    public void RunBody(Attempt attempt) => _queue.Run(attempt);

    /// <summary>Called by the work queue.</summary>
    public void Handle(Action work)
    {
        try
        {
            work();
            Advance();
        }
        catch (Exception error)
        {
            // Not the user's: those are caught where they are called. The run is untouched in the database; let it be loaded anew.
            Fault(error);
        }
    }

    /// <summary>Lets it leave memory if it only waits, nobody waits for it here, and nothing is due soon.</summary>
    public void RestIfIdle(TimeSpan restAfter)
    {
        if (_queue.RestTime >= restAfter && Volatile.Read(ref _waiters) == 0)
        {
            Post(() =>
            {
                var soon = Engine.Clock.Now + Engine.Options.LookAhead + Engine.Options.LookAhead;
                if (IsAtRest && _waiters == 0 && !Program.Outstanding.Values.Any(command => command.DueAt < soon))
                {
                    _comparison?.Compare(last: null);
                    Release(wakesOthers: false);
                }
            });
        }
    }

    /// <summary>
    /// Gives the run away: bodies are cancelled, the commit under way ends, the owner is cleared. Completes when it has left. Unless it
    /// only waits it leaves a letter, by which the sweeps find it: whoever asked for it may be gone before its claim.
    /// </summary>
    public Task ReleaseAsync()
    {
        Post(() =>
        {
            IsReleasing = true;
            Effects.CancelAttempts();
        });
        return Left;
    }

    /// <summary>This silo has claimed the run anew, so this object can commit nothing more.</summary>
    public void GiveWay() => Post(() => Evict(Eviction.Superseded));

    private bool IsAtRest => Evicted is null && _turn.IsFree && _inbox.IsEmpty && Effects.IsIdle && Draft.IsEmpty
        && !Program.HasEnded && Program.Violation is null;

    private void Replay(IReadOnlyList<JournalRow> history, IReadOnlyList<LetterRow> letters)
    {
        Program.Expect(history);
        if (history[^1].Kind == JournalKind.Started)
        {
            Program.GoLive(); // A new run: nothing to replay.
        }

        var lastEntry = history.LastOrDefault(row => !row.Kind.IsAboutTheRun())?.At;
        foreach (var row in history)
        {
            Apply(row);
            if (Program.Violation is not null)
            {
                break;
            }

            if (row.At != lastEntry)
            {
                Program.TakeGivenUp(); // The entry that followed has cleared their timers.
            }
        }

        Program.GoLive();
        Position = history[^1].Position; // Also where the code stopped half way: that is recorded at the end.
        if (Program.Violation is null)
        {
            LaunchCommands();
            _inbox.Take(letters);
            // A run that was taken from the dead and only waits has not crashed anyone: its next commit says so.
            _clearsCrashes = Row.CrashCount > 0 && !Program.HasEnded && Program.Violation is null
                && !Program.Outstanding.Values.Any(command => command is BodyCommand);
        }
    }

    private void EscapedCode(string message) => Post(() => Program.Violate(message));

    /// <summary>Tells the program a committed row.</summary>
    private void Apply(JournalRow row)
    {
        Position = row.Position;
        _messages += row.Messages;
        _comparison?.Remember(row);
        _inbox.HasPosition(row);
        Program.Apply(row);
    }

    /// <summary>After the program was told something: what it made of messages, then what it asks for, then what it asks for no
    /// more.</summary>
    private void LaunchCommands()
    {
        _inbox.TakeNotes();
        while (Program.TryTakeCommand(out var command))
        {
            Effects.Launch(command);
        }

        foreach (var seq in Program.TakeGivenUp())
        {
            Effects.GiveUp(seq);
        }
    }

    private void Fault(Exception error, Exception? told = null)
    {
        var said = $"{error.GetType().Name}: {ErrorText.MessageOf(error)}";
        var (count, _) = Engine.Faults.AddOrUpdate(Id, (1, said), (_, before) => (before.Count + 1, said));
        _hadFaults = true;
        LogEngineFault(Id, count, ErrorText.Loggable(error));
        Evict(Eviction.Faulted, told);
    }

    /// <summary>Out of memory. Bodies are cancelled; who waits is told, and asks elsewhere or anew.</summary>
    /// <param name="told">What who waits is told instead of asking anew.</param>
    /// <param name="outcome">Of the run.</param>
    private void Evict(Eviction why, Exception? told = null, ResultReply? outcome = null)
    {
        if (Evicted is not null)
        {
            return;
        }

        Evicted = why;
        var moved = new MovedException(fenced: why == Eviction.Fenced);
        Effects.End();
        _left(this); // Before anyone is told: what they ask next finds the database's word.
        if (outcome is not null)
        {
            _ended.Tell(outcome);
        }
        else
        {
            _ended.Fail(told ?? moved);
        }

        // A signal that met the setting aside is not refused: asked again, it goes to the inbox.
        var answer = why switch
        {
            Eviction.SetAside => moved,
            Eviction.Ended => new WorkflowEndedException($"Workflow '{Id}' has ended; the signal was not delivered."),
            _ => told ?? moved,
        };
        _turn.UnderWay?.Draft.Fail(answer);
        Draft.Fail(answer);
        _leftMemory.TrySetResult();
    }

    [LoggerMessage(201, LogLevel.Error, "Workflow '{Id}' met a fault of the engine, {Count} time(s) by now, and is loaded anew.")]
    private partial void LogEngineFault(WorkflowId id, int count, Exception error);

    [LoggerMessage(202, LogLevel.Error, "Workflow '{Id}' is set aside: {Reason}")]
    private partial void LogSetAside(WorkflowId id, string reason);

    [LoggerMessage(203, LogLevel.Information, "Workflow '{Id}' has another owner than this silo; this silo gives way.")]
    private partial void LogFenced(WorkflowId id);
}
