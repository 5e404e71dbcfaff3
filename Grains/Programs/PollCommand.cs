using Actors.Calling;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Programs;

/// <summary>A body that runs again and again, each time so long after its last outcome, until a letter of the topic ends it.</summary>
internal sealed class PollCommand<TMessage>(int seq, string name, TimeSpan every, Func<StepContext, Task> body, Retry retry, SourceLine line)
    : BodyCommand<TMessage>(seq, name, retry, line), IStepBody
{
    private readonly TaskCompletionSource<TMessage> _arrived = new();
    private DateTimeOffset? _set;

    public override JournalKind CompletedKind => JournalKind.Polled;

    public override JournalKind FailedKind => JournalKind.PollFailed;

    public Task<TMessage> Arrived => _arrived.Task;

    public override bool IsUnobserved => !Arrived.IsCompleted && Continuation(Arrived) is null;

    protected override string What => "poll";

    public override bool Owns(JournalKind kind) => base.Owns(kind) || kind is JournalKind.Polled or JournalKind.TimerSet;

    public override bool EndsWith(JournalKind kind) => kind == FailedKind;

    public override bool GoesOnAfter(JournalKind kind) => base.GoesOnAfter(kind) || kind == JournalKind.Polled;

    public override void Apply(JournalRow row, PayloadSerializer payloads)
    {
        if (row.Kind == JournalKind.Polled)
        {
            (Failures, RetryAt) = (0, DueTime.After(row.At, every));
        }
        else if (row.Kind == JournalKind.TimerSet)
        {
            _set = row.DueAt;
        }
        else
        {
            _set = row.DueAt; // An attempt that failed brings its own timer.
            base.Apply(row, payloads);
        }
    }

    public override void Launch(IEffects effects)
    {
        if (RetryAt is { } due && _set != due)
        {
            _set = due;
            effects.Record(new JournalRow(JournalKind.TimerSet, Seq, Name, default) { DueAt = due });
        }

        base.Launch(effects);
    }

    public void Arrive(TMessage message)
    {
        _arrived.SetResult(message);
        Attempt?.Cancel();
    }

    public async Task<Payload> RunAsync(StepContext context, PayloadSerializer payloads)
    {
        await body(context);
        return default;
    }

    protected override void Complete(JournalRow row, PayloadSerializer payloads) =>
        _arrived.SetException(new StepFailedException(Name, Failures + 1, Answers.Recorded(row.Payload, payloads, $"Error of {this}")));
}
