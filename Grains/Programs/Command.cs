using System.Runtime.CompilerServices;
using Actors.Calling;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Programs;

/// <summary>
/// One thing that the code asked for, numbered in the order of asking. It owns what the engine must know of it: which rows are its own and
/// what they do, what it sets going, when it is due and what it leaves to be cleared.
/// </summary>
internal abstract class Command(int seq, string name, SourceLine line)
{
    public int Seq { get; } = seq;

    public string Name { get; } = name;

    public SourceLine Line { get; } = line;

    /// <summary>When it goes on by itself.</summary>
    public virtual DateTimeOffset DueAt => DateTimeOffset.MaxValue;

    /// <summary>The database holds a timer for it, which its outcome and the end of the run clear.</summary>
    public virtual bool HasTimer => false;

    protected abstract string What { get; }

    public override string ToString() => $"{What} '{Name}' (seq {Seq}, {Line})";

    /// <summary>Whether a journal row of this kind can belong to this command.</summary>
    public abstract bool Owns(JournalKind kind);

    /// <summary>Whether a row of this kind is its outcome, after which nobody asks for it any more.</summary>
    public abstract bool EndsWith(JournalKind kind);

    /// <summary>Tells it one of its rows, live or in replay.</summary>
    public abstract void Apply(JournalRow row, PayloadSerializer payloads);

    /// <summary>Sets going what has no outcome yet: when it was asked for, and after a history that leaves it open.</summary>
    public abstract void Launch(IEffects effects);

    /// <summary>Whether a row of this kind, just committed, launches it again.</summary>
    public virtual bool GoesOnAfter(JournalKind kind) => false;

    /// <summary>What it recorded with a time was too early by the database's clock, and is not committed; it is launched again.</summary>
    public virtual void TooEarly()
    {
    }
}

/// <summary>A command with a body that runs beside the code, and a recorded outcome.</summary>
internal abstract class BodyCommand(int seq, string name, Retry retry, SourceLine line) : Command(seq, name, line)
{
    public Retry Retry { get; } = retry;

    /// <summary>Recorded failures so far.</summary>
    public int Failures { get; set; }

    /// <summary>The last of them, as it was recorded.</summary>
    public Payload LastFailure { get; set; }

    /// <summary>The attempt under way; null between two.</summary>
    public Attempt? Attempt { get; set; }

    /// <summary>Attempts in a row that a conflict or a lost connection ended: they do not count, but they wait longer each time.</summary>
    public int Interruptions { get; set; }

    /// <summary>They were too many: from now on each is a failure.</summary>
    public bool IsWorn { get; set; }

    /// <summary>When the first of them was, or the first after a wait, by the process's own clock.</summary>
    public long InterruptedAt { get; set; }

    /// <summary>Tries in a row that got no connection, and so began no body.</summary>
    public int Waits { get; set; }

    public long WaitsSince { get; set; }

    /// <summary>When the next attempt may begin; null: at once.</summary>
    public DateTimeOffset? RetryAt { get; set; }

    /// <summary>True when nobody has ever awaited the command, nor passed it to WhenAll or WhenAny while the race was open.</summary>
    public abstract bool IsUnobserved { get; }

    public abstract JournalKind CompletedKind { get; }

    public abstract JournalKind FailedKind { get; }

    public override DateTimeOffset DueAt => RetryAt ?? DateTimeOffset.MinValue;

    public override bool HasTimer => RetryAt is not null;

    public override bool Owns(JournalKind kind) => EndsWith(kind) || kind == JournalKind.AttemptFailed;

    public override bool EndsWith(JournalKind kind) => kind == CompletedKind || kind == FailedKind;

    public override bool GoesOnAfter(JournalKind kind) => kind == JournalKind.AttemptFailed;

    public override void Apply(JournalRow row, PayloadSerializer payloads)
    {
        if (row.Kind == JournalKind.AttemptFailed)
        {
            (Failures, LastFailure, RetryAt) = (Failures + 1, row.Payload, row.DueAt);
        }
        else
        {
            Complete(row, payloads);
        }
    }

    public override void Launch(IEffects effects)
    {
        if (RetryAt is { } due)
        {
            effects.At(due, this, () => effects.Begin(this));
        }
        else
        {
            effects.Begin(this);
        }
    }

    /// <summary>Tells the code its outcome.</summary>
    protected abstract void Complete(JournalRow row, PayloadSerializer payloads);

    // A task that was awaited, or that WhenAny let go of, holds a continuation or an empty list; only one that nobody ever
    // looked at holds null. There is no public way to ask; a test tells when the field is renamed.
    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "m_continuationObject")]
    protected static extern ref object? Continuation(Task task);
}

internal abstract class BodyCommand<T>(int seq, string name, Retry retry, SourceLine line) : BodyCommand(seq, name, retry, line)
{
    private readonly TaskCompletionSource<T> _done = new();

    public override bool IsUnobserved => !Typed.IsCompleted && Continuation(Typed) is null;

    public Task<T> Typed => _done.Task;

    protected override void Complete(JournalRow row, PayloadSerializer payloads)
    {
        if (row.Kind == FailedKind)
        {
            _done.SetException(new StepFailedException(Name, Failures + 1, Answers.Recorded(row.Payload, payloads, $"Error of {this}")));
        }
        else
        {
            _done.SetResult(payloads.Read<T>(row.Payload, $"Result of {this}"));
        }
    }

    protected Payload Write(T value, PayloadSerializer payloads) => value is null ? default : payloads.Write(value, $"Result of {this}");
}

/// <summary>A step as the engine sees it, whatever its result's type.</summary>
internal interface IStepBody
{
    Task<Payload> RunAsync(StepContext context, PayloadSerializer payloads);
}

internal sealed class StepCommand<T>(int seq, string name, Func<StepContext, Task<T>> body, Retry retry, SourceLine line)
    : BodyCommand<T>(seq, name, retry, line), IStepBody
{
    public override JournalKind CompletedKind => JournalKind.StepCompleted;

    public override JournalKind FailedKind => JournalKind.StepFailed;

    protected override string What => "step";

    public async Task<Payload> RunAsync(StepContext context, PayloadSerializer payloads) => Write(await body(context), payloads);
}

/// <summary>A transaction as the engine sees it.</summary>
internal interface ITransactionBody
{
    TransactionOptions Options { get; }

    Task<Payload> RunAsync(TransactionContext context, PayloadSerializer payloads);
}

internal sealed class TransactionCommand<T>(
    int seq, string name, Func<TransactionContext, Task<T>> body, TransactionOptions options, SourceLine line)
    : BodyCommand<T>(seq, name, options.Retry, line), ITransactionBody
{
    public TransactionOptions Options { get; } = options;

    public override JournalKind CompletedKind => JournalKind.TransactionCompleted;

    public override JournalKind FailedKind => JournalKind.TransactionFailed;

    protected override string What => "transaction";

    public async Task<Payload> RunAsync(TransactionContext context, PayloadSerializer payloads) => Write(await body(context), payloads);
}

/// <summary>A sleep, or the time-out of a wait.</summary>
internal sealed class TimerCommand(int seq, string name, DateTimeOffset dueAt, SourceLine line) : Command(seq, name, line)
{
    private readonly TaskCompletionSource _done = new();
    private bool _isSet; // In the journal, or on its way there.
    private bool _fires;

    public override DateTimeOffset DueAt { get; } = dueAt;

    public override bool HasTimer => true;

    /// <summary>The wait whose time-out this is.</summary>
    public Wait? Wait { get; init; }

    public Task Task => _done.Task;

    protected override string What => Wait is null ? "sleep" : "wait";

    public override bool Owns(JournalKind kind) => kind is JournalKind.TimerSet or JournalKind.TimerFired;

    public override bool EndsWith(JournalKind kind) => kind == JournalKind.TimerFired;

    public override void Apply(JournalRow row, PayloadSerializer payloads)
    {
        if (row.Kind != JournalKind.TimerFired)
        {
            _isSet = true;
        }
        else if (Wait is { } wait)
        {
            wait.Done.TrySetResult(false);
        }
        else
        {
            _done.SetResult();
        }
    }

    public override void Launch(IEffects effects)
    {
        if (!_isSet)
        {
            _isSet = true;
            effects.Record(new JournalRow(JournalKind.TimerSet, Seq, Name, default) { DueAt = DueAt });
        }

        effects.At(DueAt, this, () => Fire(effects));
    }

    public override void TooEarly() => _fires = false;

    private void Fire(IEffects effects)
    {
        if (!_fires)
        {
            _fires = true;
            effects.Record(new JournalRow(JournalKind.TimerFired, Seq, Name, default), notBefore: DueAt);
        }
    }
}

/// <summary>A message for the world.</summary>
/// <param name="message">Null in replay, where it is already in the journal's past.</param>
internal sealed class PublishCommand(int seq, OutgoingMessage? message, string topic, SourceLine line) : Command(seq, topic, line)
{
    private bool _isRecorded = message is null;

    protected override string What => "publish";

    public override bool Owns(JournalKind kind) => kind == JournalKind.Published;

    public override bool EndsWith(JournalKind kind) => kind == JournalKind.Published;

    public override void Apply(JournalRow row, PayloadSerializer payloads)
    {
    }

    public override void Launch(IEffects effects)
    {
        if (!_isRecorded)
        {
            _isRecorded = true;
            effects.Record(new JournalRow(JournalKind.Published, Seq, Name, default), [message!]);
        }
    }
}

/// <summary>A condition that the code waits for.</summary>
/// <param name="name">For people.</param>
internal sealed class Wait(int seq, string name, Func<bool> condition)
{
    public int Seq { get; } = seq;

    public string Name { get; } = name;

    public Func<bool> Condition { get; } = condition;

    public TaskCompletionSource<bool> Done { get; } = new();

    public Task<bool> Task => Done.Task;

    /// <summary>When it goes on by itself.</summary>
    public DateTimeOffset? Due { get; set; }
}
