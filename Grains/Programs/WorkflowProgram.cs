using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.ExceptionServices;
using Actors.Calling;
using Actors.Storage;
using Actors.Wire;
using Microsoft.Extensions.Logging;

namespace Actors.Programs;

/// <summary>
/// A workflow's code, whose object is made again by replaying its rows. It does not know whether it is live or replayed, which is why both
/// take the same branches.
/// </summary>
internal sealed partial class WorkflowProgram : IProgram
{
    private readonly WorkflowType _type;
    private readonly PayloadSerializer _payloads;
    private readonly TurnContext _turn;
    private readonly ILogger _log;
    private readonly Action<string> _escaped;
    private readonly Workflow _workflow;
    private readonly Dictionary<int, Command> _outstanding = [];
    private readonly Queue<Command> _issued = [];
    private readonly List<int> _givenUp = [];
    private readonly List<Wait> _waits = [];
    private readonly Dictionary<int, JournalRow> _expected = [];
    private WorkflowRandom? _random;
    private Command? _lastCommand;
    private int _lastSeq;
    private int _guids;
    private int _handlers;
    private object? _result;
    private bool _mainBegan;
    private bool _mainEnded;
    private ExceptionDispatchInfo? _error;

    public WorkflowProgram(
        StoredRun run, WorkflowType type, IServiceProvider services, PayloadSerializer payloads, MessagePreparer messages, ILogger logger,
        Action<string> escaped)
    {
        (Id, Run, _type, _payloads, _messages) = (run.Id, run.Run, type, payloads, messages);
        (_log, _escaped) = (logger, escaped);
        _turn = new TurnContext(() => escaped(
            $"A continuation came from outside the workflow's scheduler{After}: workflow code awaited Task.Run, Task.Delay, Task.WhenEach, "
                + $"I/O or ConfigureAwait(false). Move that work into a Step, or use Sleep and WhenAny."),
            error => Violate($"an async void method threw {error.GetType().Name} ({ErrorText.MessageOf(error)}){After}, and nobody can "
                + $"await it: make it async Task, and await it."));
        Logger = new ReplaySafeLogger(logger, this);
        _workflow = type.Create(services);
        _workflow.Runtime = this;
    }

    /// <summary>True while rows of the past are delivered: nothing may have an effect.</summary>
    public bool IsReplaying { get; private set; } = true;

    /// <summary>The user's object.</summary>
    public Workflow Workflow => _workflow;

    public WorkflowCodeException? Violation { get; private set; }

    /// <summary>True when the code has returned or thrown, and no handler of a signal is under way.</summary>
    public bool HasEnded => _error is not null || (_mainEnded && _handlers == 0);

    public IReadOnlyDictionary<int, Command> Outstanding => _outstanding;

    public string After => _lastCommand is { } last ? $" after {last}" : " in RunAsync";

    public void Expect(IEnumerable<JournalRow> history)
    {
        foreach (var row in history)
        {
            if (row.Seq > 0)
            {
                _expected.TryAdd(row.Seq, row);
            }
            else if (row.Kind == JournalKind.Refused)
            {
                ExpectRefused(row);
            }
            else if (row.Kind == JournalKind.LetterOfTopic)
            {
                ExpectTopic(row);
            }

            if (!row.Kind.IsAboutTheRun())
            {
                _lastEntry = row.At;
            }
        }
    }

    public void GoLive()
    {
        IsReplaying = false;
        _expected.Clear();
    }

    public void Apply(JournalRow row)
    {
        Now = row.At > Now ? row.At : Now;
        _delivered = row;
        try
        {
            _turn.Run(() =>
            {
                Tell(row);
                CheckWaits();
            });
        }
        catch (PayloadException error)
        {
            Violate(error.Message + " JSON cannot carry the type that the code declares, or that type changed under a running workflow.");
        }

        CheckRest();
    }

    public bool TryTakeCommand([MaybeNullWhen(false)] out Command command) => _issued.TryDequeue(out command);

    public IReadOnlyList<int> TakeGivenUp()
    {
        if (_givenUp.Count == 0)
        {
            return [];
        }

        int[] taken = [.. _givenUp];
        _givenUp.Clear();
        return taken;
    }

    public bool HasSignal(string name) => _type.Signals.ContainsKey(name);

    public JournalRow EndRow()
    {
        if (_error is { SourceException: var failure })
        {
            return Failed(failure, $"Error of workflow '{Id}'");
        }

        try
        {
            var payload = _result is null ? default : _payloads.Write(_result, _workflow.ResultType, $"Result of workflow '{Id}'");
            return new JournalRow(JournalKind.Completed, 0, _type.Name, payload);
        }
        catch (ActorsException error)
        {
            return Failed(error, $"Result");
        }

        JournalRow Failed(Exception error, FormattableString what) =>
            new(JournalKind.Failed, 0, _type.Name, Answers.Record(error, _payloads, what));
    }

    public void Violate(string message) => Violation ??= new WorkflowCodeException($"Workflow '{Id}': {message}");

    private void Tell(JournalRow row)
    {
        switch (row.Kind)
        {
            case JournalKind.Started:
                _mainBegan = true;
                if (_error is null) // Else a message that came with the start has failed it already.
                {
                    _ = RunMainAsync(_payloads.Read(row.Payload, _workflow.InputType, $"Input of workflow '{Id}'"));
                }

                break;
            case JournalKind.Signal or JournalKind.Topic or JournalKind.Letter when _refusedBefore?.Contains(row.Position) is true:
                break;
            case JournalKind.Signal:
                _ = HandleAsync(row);
                break;
            case JournalKind.Letter when HasSignal(row.Name) && !IsOfTopic(row):
                HandleIfReadable(row);
                break;
            case JournalKind.Letter:
                NoteTopic(row);
                Arrive(row);
                break;
            case JournalKind.Topic:
                Arrive(row);
                break;
            case JournalKind.Completed or JournalKind.Failed or JournalKind.Refused or JournalKind.LetterOfTopic:
            case var kind when kind.IsAboutTheRun():
                break;
            default:
                Complete(row);
                break;
        }
    }

    private void Complete(JournalRow row)
    {
        if (row.Seq > _lastSeq)
        {
            Violate($"its history holds {row.Kind} '{row.Name}' (seq {row.Seq}), which the code has not asked for{After}: the code changed "
                + $"under a running workflow.");
            return;
        }

        if (!_outstanding.TryGetValue(row.Seq, out var command))
        {
            return; // Given up by the code before it came, and again in replay.
        }

        if (command.EndsWith(row.Kind))
        {
            _outstanding.Remove(row.Seq);
        }

        command.Apply(row, _payloads);
    }

    private async Task RunMainAsync(object? input)
    {
        try
        {
            _result = await _workflow.RunAsync(input);
        }
        catch (Exception error)
        {
            _error = ExceptionDispatchInfo.Capture(error);
        }

        _mainEnded = true;
    }

    private async Task HandleAsync(JournalRow row)
    {
        _handlers++;
        try
        {
            var method = _type.Signals.GetValueOrDefault(row.Name);
            if (method is null)
            {
                Violate($"its history holds the signal '{row.Name}', which its contract no longer has.");
                return;
            }

            object?[] values;
            try
            {
                values = Arguments(row.Payload, method, $"Signal {row.Name} of workflow '{Id}'");
            }
            catch (PayloadException error)
            {
                Violate(error.Message);
                return;
            }

            await (Task)Invoke(method, values)!;
        }
        catch (Exception error)
        {
            _error ??= ExceptionDispatchInfo.Capture(error);
        }
        finally
        {
            _handlers--;
        }
    }

    private void HandleIfReadable(JournalRow row)
    {
        try
        {
            Arguments(row.Payload, _type.Signals[row.Name], $"Signal {row.Name} of workflow '{Id}'");
        }
        catch (PayloadException error)
        {
            Refuse(row, error);
            return;
        }

        _ = HandleAsync(row);
    }

    private object?[] Arguments(Payload payload, MethodInfo method, FormattableString what)
    {
        var arguments = _payloads.ReadArguments(payload, method, what, out var surplus);
        if (surplus > 0 && _type.IsFirstSurplus(method))
        {
            LogSurplus(_log, Id, _type.Name, method.Name, surplus);
        }

        return arguments;
    }

    private object? Invoke(MethodInfo method, object?[] arguments)
    {
        try
        {
            return method.Invoke(_workflow, arguments);
        }
        catch (TargetInvocationException error) when (error.InnerException is { } inner)
        {
            ExceptionDispatchInfo.Throw(inner);
            throw;
        }
    }

    private void CheckWaits()
    {
        for (var i = 0; i < _waits.Count;)
        {
            var wait = _waits[i];
            if (wait.Done.Task.IsCompleted) // Its time was up.
            {
                _waits.RemoveAt(i);
                continue;
            }

            bool holds;
            try
            {
                holds = wait.Condition();
            }
            catch (Exception error)
            {
                _waits.RemoveAt(i);
                _turn.Run(() => wait.Done.SetException(error));
                i = 0;
                continue;
            }

            if (!holds)
            {
                i++;
                continue;
            }

            _waits.RemoveAt(i);
            if (_outstanding.Remove(wait.Seq))
            {
                _givenUp.Add(wait.Seq);
            }

            // Whatever this sets going runs now, and may make earlier conditions hold.
            _turn.Run(() => wait.Done.SetResult(true));
            i = 0;
        }
    }

    /// <summary>At rest: the code has ended, or waits for something that will come.</summary>
    private void CheckRest()
    {
        if (Violation is not null || !_mainBegan)
        {
            return;
        }

        if (!HasEnded)
        {
            if (_outstanding.Count == 0 && _waits.Count == 0 && _receivers.Count == 0)
            {
                Violate($"its code waits{After} for something that is not one of its commands (Task.Run, Task.Delay, Task.WhenEach, I/O, "
                    + $"ConfigureAwait(false), a task of its own): "
                    + "nothing would wake it. Move that work into a Step, or use Sleep; for what others bring use WaitUntil or Receive.");
            }

            return;
        }

        // Of sleeps and waits it cannot be told: WhenAny does not even look at them where another task has completed already.
        if (_error is null && _outstanding.Values.FirstOrDefault(c => c is BodyCommand { IsUnobserved: true }) is { } forgotten)
        {
            Violate($"RunAsync ended while {forgotten} was not awaited: await it, or race it with Task.WhenAny.");
        }
    }

    [LoggerMessage(310, LogLevel.Warning,
        "Workflow '{Id}' was called with {Surplus} argument(s) more than {Type}.{Method} takes here; they are left out. Said once: callers "
            + "know a later contract.")]
    private static partial void LogSurplus(ILogger log, WorkflowId id, string type, string method, int surplus);
}
