using Actors.Programs;
using Actors.Storage;
using Actors.Wire;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>
/// How messages reach a run in memory: from its callers, and as letters from its inbox in the database. Each id gets one position, with the
/// next commit; a letter leaves the inbox in that commit. What the code cannot read stays in the inbox, for people.
/// </summary>
internal sealed partial class Inbox(ResidentRun run)
{
    private const int FailuresBeforeProblem = 3;

    private readonly HashSet<string> _known = new(StringComparer.Ordinal); // They have their positions.
    private readonly HashSet<string> _arriving = new(StringComparer.Ordinal); // They have a place in a draft, and no position yet.
    private volatile string? _problem;

    /// <summary>Nothing is committed until the letters are there: what they bring may come first.</summary>
    public bool IsReading { get; private set; }

    /// <summary>The last read took as many letters as one may.</summary>
    public bool HasMore { get; private set; }

    public bool IsEmpty => !IsReading && !HasMore;

    /// <summary>Why letters do not arrive, or null.</summary>
    public string? Problem => _problem;

    /// <summary>A caller's message. What may happen to it is told when it is committed.</summary>
    public void Accept(SignalCall signal, Outcome<bool> done)
    {
        // By its name alone, as letters are: where the run happens to be makes no difference.
        signal = signal with { IsTopic = signal.IsTopic && !run.Program.HasSignal(signal.Name) };
        run.Program.CheckSignal(signal);
        if (_known.Contains(signal.MessageId))
        {
            done.Tell(true);
        }
        else if (_arriving.Add(signal.MessageId))
        {
            run.Draft.Acknowledge(done);
            run.Draft.Add(Row(signal));
        }
        else
        {
            run.DraftWith(signal.MessageId).Acknowledge(done); // The same message is on its way.
        }
    }

    /// <summary>There may be letters.</summary>
    public void Check()
    {
        if (run.Evicted is null && !IsReading)
        {
            Read();
        }
    }

    public void Read()
    {
        (IsReading, HasMore) = (true, false);
        _ = ReadAsync();
    }

    /// <summary>Letters get their positions with the next commit.</summary>
    public void Take(IReadOnlyList<LetterRow> letters)
    {
        if (run.Evicted is not null)
        {
            return;
        }

        HasMore = letters.Count >= Claims.LettersMax;
        foreach (var letter in letters)
        {
            var signal = new SignalCall(letter.Name, !run.Program.HasSignal(letter.Name), letter.Payload, letter.MessageId);
            if (letter.Name.Length > 0 && !_known.Contains(letter.MessageId) && !_arriving.Contains(letter.MessageId))
            {
                try
                {
                    run.Program.CheckSignal(signal);
                }
                catch (PayloadException error)
                {
                    var reason = WorkflowProgram.Reason(error);
                    LogRefused(run.Log, run.Id, letter.MessageId, reason);
                    run.Draft.RefuseLetters(letter.MessageId, reason);
                    continue;
                }

                _arriving.Add(letter.MessageId);
                run.Draft.Add(Row(signal));
            }

            run.Draft.ClearLetters(letter.MessageId);
        }
    }

    /// <summary>What the code could not read goes before what it did without it; what it took for a topic's with it.</summary>
    public void TakeNotes()
    {
        while (run.Program.TryTakeNote(out var note))
        {
            if (note.Refusal is { } reason)
            {
                LogRefused(run.Log, run.Id, note.Message.MessageId!, reason);
                run.Draft.AddRefusal(note.Row, note.Message.Position, reason);
            }
            else
            {
                run.Draft.Add(note.Row);
            }
        }
    }

    /// <summary>The row is committed: its message, if it is one, is never taken again.</summary>
    public void HasPosition(JournalRow row)
    {
        if (row.MessageId is { } id)
        {
            _known.Add(id);
            _arriving.Remove(id);
        }
    }

    private async Task ReadAsync()
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                var letters = await run.Engine.Claims.ReadLettersAsync(run.Row.Workflow);
                run.Post(() =>
                {
                    (IsReading, _problem) = (false, null);
                    Take(letters);
                });
                return;
            }
            catch (Exception) when (run.Evicted is not null)
            {
                return;
            }
            catch (Exception error)
            {
                var pause = PostgresFaults.Pause(tries);
                LogUnread(run.Log, run.Id, tries, pause, ErrorText.MessageOf(error));
                _problem = tries < FailuresBeforeProblem ? null
                    : $"Its inbox could not be read {tries} times, last with {ErrorText.MessageOf(error)}";
                await Task.Delay(pause);
            }
        }
    }

    private static JournalRow Row(SignalCall signal) =>
        new(signal.IsTopic ? JournalKind.Topic : JournalKind.Signal, 0, signal.Name, signal.Payload) { MessageId = signal.MessageId };

    [LoggerMessage(205, LogLevel.Warning,
        "Workflow '{Id}' cannot read message '{MessageId}' and leaves it in its inbox as undelivered: {Reason}")]
    private static partial void LogRefused(ILogger log, WorkflowId id, string messageId, string reason);

    [LoggerMessage(209, LogLevel.Warning, "Workflow '{Id}': its inbox cannot be read, {Count} time(s) by now; again in {Pause}: {Reason}")]
    private static partial void LogUnread(ILogger log, WorkflowId id, int count, TimeSpan pause, string reason);
}
