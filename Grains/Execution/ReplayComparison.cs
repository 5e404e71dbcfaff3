using Actors.Programs;
using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>
/// Whether the code does the same again: when the run rests or has ended, what its journal holds is replayed in a fresh object, which must
/// come to the same commands and the same end. After the commit, so that nothing depends on it; no body runs, nothing is written or logged.
/// </summary>
internal sealed partial class ReplayComparison(ResidentRun run)
{
    private const int CheckedRowsMax = 1_000;
    private const int CheckedBytesMax = 1024 * 1024;

    private readonly EngineContext _engine = run.Engine;
    private List<JournalRow>? _past = [];
    private long _pastBytes;

    /// <summary>The program was told this row.</summary>
    public void Remember(JournalRow row)
    {
        if (_past is { } past)
        {
            past.Add(row);
            _pastBytes += row.Payload.Size;
            _past = past.Count > CheckedRowsMax || _pastBytes > CheckedBytesMax ? null : past; // Long histories are left alone.
        }
    }

    /// <summary>Returns what differs, for people; null when nothing does, or it was not looked for.</summary>
    /// <param name="last">The row of the end; null at rest.</param>
    /// <param name="undelivered">Rows of the end's entry, which the code was never told.</param>
    public string? Compare(JournalRow? last, IReadOnlyList<JournalRow>? undelivered = null)
    {
        if (_past is not { } past || run.Program.Violation is not null)
        {
            return null;
        }

        var scope = _engine.Services.CreateAsyncScope();
        try
        {
            if (Difference(past, undelivered, last, scope.ServiceProvider) is not { } difference)
            {
                return null;
            }

            var text = $"Workflow '{run.Id}' would not do the same again: {difference} "
                + "Code decides by its inputs, by what its commands return and by Now, NewGuid and Random alone.";
            _engine.Findings.Add(run.Row.Instance, text);
            LogDiffers(run.Log, text);
            return text;
        }
        finally
        {
            _ = scope.DisposeAsync().AsTask();
        }
    }

    private string? Difference(List<JournalRow> past, IReadOnlyList<JournalRow>? undelivered, JournalRow? last, IServiceProvider services)
    {
        IProgram again;
        try
        {
            again = Replay.Run(_engine, new LoadedRun(run.Row, past, []), services, undelivered);
        }
        catch (WorkflowCodeException error)
        {
            return error.Message;
        }
        catch (Exception error)
        {
            return $"its object cannot be made again, which threw {error.GetType().Name}: {ErrorText.MessageOf(error)}.";
        }

        if (last is null || !again.HasEnded)
        {
            var (live, replayed) = (Open(run.Program), Open(again));
            return again.HasEnded ? $"it rests{run.Program.After}, and in a replay it has ended."
                : last is not null ? $"it has ended, and in a replay it waits{again.After}."
                : live.Except(replayed).FirstOrDefault() is { } missing ? $"it waits for {missing}, and in a replay it does not."
                : replayed.Except(live).FirstOrDefault() is { } added ? $"in a replay it waits for {added}."
                : null;
        }

        var end = again.EndRow();
        return end.Kind != last.Kind ? $"it ended as {last.Kind}, and in a replay as {end.Kind}."
            : end.Kind == JournalKind.Failed ? Said(end) == Said(last) ? null : "it failed with another error than in a replay."
            : Bytes(end).SequenceEqual(Bytes(last)) ? null : "it returned another result than in a replay.";

        static List<string> Open(IProgram code) => [.. code.Outstanding.Values.Select(command => command.ToString()), .. code.Waiting
            .Where(wait => wait.Kind is WaitingFor.Condition or WaitingFor.Message)
            .Select(wait => wait.Kind == WaitingFor.Message ? $"a message of topic '{wait.Name}'" : $"a condition (seq {wait.Seq})")];
        ReadOnlySpan<byte> Bytes(JournalRow row) => _engine.Payloads.Json(row.Payload);
        (string, string) Said(JournalRow row) =>
            Answers.Recorded(row.Payload, _engine.Payloads, $"Error") is var error ? (error.Type, error.Message) : default;
    }

    [LoggerMessage(210, LogLevel.Warning, "{Difference}")]
    private static partial void LogDiffers(ILogger log, string difference);
}
