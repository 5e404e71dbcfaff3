using System.Security.Cryptography;
using Actors.Calling;
using Actors.Storage;
using Microsoft.Extensions.Logging;

namespace Actors.Programs;

internal sealed partial class WorkflowProgram : IWorkflowRuntime
{
    private readonly MessagePreparer _messages;
    private readonly Dictionary<string, Queue<JournalRow>> _arrived = new(StringComparer.Ordinal);
    private readonly List<Receiver> _receivers = [];

    public IEnumerable<WaitRow> Waiting =>
    [
        .. _waits.Select(wait => new WaitRow(WaitingFor.Condition, Label(wait.Name), wait.Seq, wait.Due)),
        .. _receivers.Select(receiver => new WaitRow(WaitingFor.Message, receiver.Topic, receiver.Seq)),
        .. _outstanding.Values.OfType<TimerCommand>().Where(timer => timer.Wait is null)
            .Select(timer => new WaitRow(WaitingFor.Sleep, timer.Name, timer.Seq, timer.DueAt)),
        .. _outstanding.Values.OfType<BodyCommand>().Where(body => body is { Attempt: null, RetryAt: not null })
            .Select(body => new WaitRow(WaitingFor.Attempt, body.Name, body.Seq, body.RetryAt)),
        .. _outstanding.Values.OfType<BodyCommand>().Where(body => body.Attempt is not null)
            .Select(body => new WaitRow(WaitingFor.Body, body.Name, body.Seq)),
    ];

    /// <summary>The text of a condition in one line, without the lambda's arrow.</summary>
    private static string Label(string text) => StoredText.Shortened(
        string.Join(' ', (text.StartsWith("() =>", StringComparison.Ordinal) ? text[5..] : text).Split(
            (char[]?)null, StringSplitOptions.RemoveEmptyEntries)), 200);

    public WorkflowId Id { get; }

    public Guid Run { get; }

    public DateTimeOffset Now { get; private set; }

    public Random Random
    {
        get
        {
            AssertInTurn(default, "Random");
            return _random ??= new WorkflowRandom(Run, () => AssertInTurn(default, "A number of Random"));
        }
    }

    public ILogger Logger { get; }

    public Guid NewGuid()
    {
        AssertInTurn(default, "NewGuid");
        Span<byte> seed = stackalloc byte[20];
        Run.TryWriteBytes(seed);
        BitConverter.TryWriteBytes(seed[16..], ++_guids);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(seed, hash);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x80); // RFC 9562, version 8: custom
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }

    public Task<T> Step<T>(string name, Func<StepContext, Task<T>> body, Retry retry, SourceLine line)
    {
        ArgumentNullException.ThrowIfNull(body);
        CheckResult<T>("Step", name, line);
        var command = new StepCommand<T>(NextSeq(line), CheckedName(name), body, retry, line);
        Issue(command);
        return command.Typed;
    }

    public Task<T> Transaction<T>(string name, Func<TransactionContext, Task<T>> body, TransactionOptions options, SourceLine line)
    {
        ArgumentNullException.ThrowIfNull(body);
        CheckResult<T>("Transaction", name, line);
        var command = new TransactionCommand<T>(NextSeq(line), CheckedName(name), body, options, line);
        Issue(command);
        return command.Typed;
    }

    public void Publish<T>(string topic, string key, T message, SourceLine line)
    {
        var seq = NextSeq(line);
        var recorded = _expected.TryGetValue(seq, out var row) && row.Kind == JournalKind.Published;
        Issue(new PublishCommand(seq, recorded ? null : _messages(topic, key, message, typeof(T)), topic, line));
    }

    public Task Sleep(TimeSpan duration, SourceLine line) => duration == Timeout.InfiniteTimeSpan
        ? throw new ArgumentOutOfRangeException(nameof(duration), "A sleep must end: to wait without an end, use WaitUntil or Receive.")
        : SleepUntil(DueTime.After(Now, duration), line);

    public Task SleepUntil(DateTimeOffset due, SourceLine line)
    {
        var seq = NextSeq(line);
        var command = new TimerCommand(seq, "sleep", RecordedDue(seq) ?? DueTime.Storable(due), line);
        Issue(command);
        return command.Task;
    }

    // A timer that the history holds stays as it is, whatever the code computes now.
    private DateTimeOffset? RecordedDue(int seq) => _expected.GetValueOrDefault(seq)?.DueAt;

    public Task<bool> WaitUntil(Func<bool> condition, TimeSpan? timeout, string name, SourceLine line)
    {
        var seq = NextSeq(line);
        if (condition())
        {
            RequireUnrecorded(seq, $"a wait that is over at once (seq {seq}, {line})");
            return Task.FromResult(true);
        }

        var wait = new Wait(seq, name, condition);
        if (timeout is { } limit)
        {
            wait.Due = RecordedDue(seq) ?? DueTime.After(Now, limit);
            Issue(new TimerCommand(seq, "wait", wait.Due.Value, line) { Wait = wait });
        }
        else
        {
            RequireUnrecorded(seq, $"a wait without a time-out (seq {seq}, {line})");
        }

        _waits.Add(wait);
        return wait.Task;
    }

    public Task<T> Receive<T>(string topic, SourceLine line)
    {
        NameRule.Checked(topic, "A topic");
        var seq = NextSeq(line);
        RequireUnrecorded(seq, $"a message of topic '{topic}' (seq {seq}, {line})");
        while (_arrived.TryGetValue(topic, out var queue) && queue.TryDequeue(out var row))
        {
            if (TryRead<T>(row, out var message))
            {
                return Task.FromResult(message);
            }
        }

        var done = new TaskCompletionSource<T>();
        _receivers.Add(new Receiver(seq, topic, row =>
        {
            var isReadable = TryRead<T>(row, out var message);
            return isReadable ? () => done.SetResult(message) : null;
        }));
        return done.Task;
    }

    private bool TryRead<T>(JournalRow row, out T message)
    {
        try
        {
            message = _payloads.Read<T>(row.Payload, $"Message '{row.MessageId}' for topic '{row.Name}' of workflow '{Id}'");
            return true;
        }
        catch (PayloadException error)
        {
            Refuse(row, error);
            message = default!;
            return false;
        }
    }

    /// <summary>The message goes to the first receiver of its topic, which goes on waiting when it cannot read it.</summary>
    private void Arrive(JournalRow row)
    {
        if (_receivers.Find(receiver => receiver.Topic == row.Name) is { } receiver)
        {
            if (receiver.Read(row) is { } complete)
            {
                _receivers.Remove(receiver);
                complete();
            }

            return;
        }

        if (!_arrived.TryGetValue(row.Name, out var queue))
        {
            _arrived[row.Name] = queue = new Queue<JournalRow>();
        }

        queue.Enqueue(row);
    }

    private void Issue(Command command)
    {
        if (_expected.TryGetValue(command.Seq, out var row) && !(command.Owns(row.Kind) && command.Name == row.Name))
        {
            throw Changed(row, $"{command}");
        }

        _lastCommand = command;
        _outstanding.Add(command.Seq, command);
        _issued.Enqueue(command);
    }

    /// <summary>What leaves no row has none in the history either.</summary>
    private void RequireUnrecorded(int seq, FormattableString what)
    {
        if (_expected.TryGetValue(seq, out var row))
        {
            throw Changed(row, what);
        }
    }

    private WorkflowCodeException Changed(JournalRow row, FormattableString what)
    {
        Violate($"its code asks for {what}, but its history holds {row.Kind} '{row.Name}' there: the code changed under a running "
            + "workflow. Finish the old ones on the old version, or deploy code that matches and resume this one.");
        return Violation!;
    }

    private int NextSeq(SourceLine line)
    {
        AssertInTurn(line, "A command");
        return ++_lastSeq;
    }

    private void AssertInTurn(SourceLine line, string what)
    {
        if (_inQuery)
        {
            throw new InvalidOperationException($"{What()} was given in a query of workflow '{Id}': a query only reads.");
        }

        if (!_turn.IsInTurn)
        {
            var message = $"{What()} was given from outside the workflow's scheduler: from a step's body, Task.Run, ContinueWith, or "
                + "after ConfigureAwait(false). Commands belong to RunAsync and signal handlers, awaited plainly.";
            _escaped(message);
            throw new WorkflowCodeException($"Workflow '{Id}': {message}");
        }

        string What() => line.File is null ? what : $"{what} at {line}";
    }

    /// <summary>Before its body has done anything: what would be lost of its result is the author's to mend.</summary>
    private void CheckResult<T>(string what, string name, SourceLine line)
    {
        if (ResultOf<T>.Fault is { } fault)
        {
            throw new PayloadException($"Workflow '{Id}': the result of {what} '{name}' at {line} {fault}.");
        }
    }

    private static class ResultOf<T>
    {
        public static readonly string? Fault = JsonLoss.Fault(typeof(T));
    }

    private static string CheckedName(string name) => NameRule.Checked(name, "The name of a step");

    /// <param name="Read">Null when the message cannot be read as what the receiver asked for, and is refused; else what hands it
    /// over.</param>
    private sealed record Receiver(int Seq, string Topic, Func<JournalRow, Action?> Read);
}
