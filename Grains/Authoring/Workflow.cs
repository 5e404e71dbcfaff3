using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;

namespace Actors;

/// <summary>
/// A durable workflow: derive, take what steps need in the constructor, write <see cref="RunAsync(TInput)"/> as ordinary C#, and register
/// it with <c>AddWorkflow</c>. It is replayed from its journal after a crash or a rest, so its code must decide by its inputs, by what its
/// commands return and by <see cref="Workflow.Now"/>, <see cref="Workflow.NewGuid"/> and <see cref="Workflow.Random"/> alone.
/// </summary>
public abstract class Workflow<TInput, TResult> : Workflow, IWorkflow<TInput, TResult>
{
    /// <summary>The workflow's code. Its result or exception is final once committed.</summary>
    protected abstract Task<TResult> RunAsync(TInput input);

    internal sealed override Type InputType => typeof(TInput);

    internal sealed override Type ResultType => typeof(TResult);

    internal sealed override async Task<object?> RunAsync(object? input) => await RunAsync((TInput)input!);
}

/// <summary>The commands that a workflow's code gives. Each may be awaited once, many times, or raced with <c>Task.WhenAll</c> and
/// <c>Task.WhenAny</c>.</summary>
public abstract class Workflow
{
    private IWorkflowRuntime? _runtime;

    /// <summary>The id under which the workflow was started.</summary>
    protected WorkflowId Id => Runtime.Id;

    /// <summary>Names this run to the world; a new run of the same id has another.</summary>
    protected Guid Run => Runtime.Run;

    /// <summary>The database's time of the commit that was delivered last; never goes back, the same in replay.</summary>
    protected DateTimeOffset Now => Runtime.Now;

    /// <summary>Seeded from the run; the same in replay, on every runtime (xoshiro256**). Drawn outside of the workflow's turns (in the
    /// body of a step, in a query) it throws <see cref="InvalidOperationException"/>, and outside of a query sets the run aside: it would
    /// not be drawn again in replay.</summary>
    protected Random Random => Runtime.Random;

    /// <summary>Writes live, is silent in replay.</summary>
    protected ILogger Logger => Runtime.Logger;

    internal IWorkflowRuntime Runtime
    {
        get => _runtime ?? throw new InvalidOperationException(
            "A workflow has no context in its constructor: give commands in RunAsync or in a signal's handler.");
        set => _runtime = value;
    }

    // What is internal and abstract lets nobody outside derive but through Workflow<TInput, TResult>.
    internal abstract Type InputType { get; }

    internal abstract Type ResultType { get; }

    internal abstract Task<object?> RunAsync(object? input);

    /// <summary>Unique, and the same in replay.</summary>
    protected Guid NewGuid() => Runtime.NewGuid();

    /// <summary>
    /// Runs work outside the database at least once and records its outcome exactly once; every attempt carries the same
    /// idempotency key. The body runs beside the workflow's code: it may block, wait and use any API, but not the workflow's commands.
    /// </summary>
    /// <param name="name">1 to 200 characters, stored; a changed name is a changed workflow.</param>
    /// <param name="retry">Default: <see cref="Retry.Default"/>.</param>
    /// <exception cref="StepFailedException">Attempts used up, or the error is not retryable.</exception>
    protected Task<T> Step<T>(
        string name, Func<StepContext, Task<T>> body, Retry? retry = null, [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) =>
        Runtime.Step(name, body, retry ?? Retry.Default, new SourceLine(file, line));

    /// <inheritdoc cref="Step{T}"/>
    protected Task Step(
        string name, Func<StepContext, Task> body, Retry? retry = null, [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) =>
        Runtime.Step<object?>(name, async step => { await body(step); return null; }, retry ?? Retry.Default, new SourceLine(file, line));

    /// <summary>
    /// The body's SQL, its result, its messages and the workflow's state commit together exactly once, or not at all. The body may be tried
    /// several times and must not touch the outside world; keep it short, it holds its locks until the commit.
    /// </summary>
    /// <inheritdoc cref="Step{T}" path="/param"/>
    /// <exception cref="StepFailedException">The body threw, and <see cref="TransactionOptions.Retry"/> is used up.</exception>
    protected Task<T> Transaction<T>(
        string name,
        Func<TransactionContext, Task<T>> body,
        TransactionOptions? options = null,
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) =>
        Runtime.Transaction(name, body, options ?? TransactionOptions.Default, new SourceLine(file, line));

    /// <inheritdoc cref="Transaction{T}"/>
    protected Task Transaction(
        string name,
        Func<TransactionContext, Task> body,
        TransactionOptions? options = null,
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) =>
        Runtime.Transaction<object?>(
            name, async tx => { await body(tx); return null; }, options ?? TransactionOptions.Default, new SourceLine(file, line));

    /// <summary>Puts a message into the outbox with the workflow's next commit, once. Inside a step or transaction, use theirs.</summary>
    /// <param name="topic">Must have a destination (<c>Outbox</c> in AddActors), else this throws.</param>
    /// <param name="key">Messages of one destination and key arrive in the order of their commits, also those of several workflows, and
    /// wait for each other; without a key (empty) they keep their order within the workflow alone. 0 to 200 characters.</param>
    /// <param name="message">Written as JSON now.</param>
    protected void Publish<T>(
        string topic, string key, T message, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        Runtime.Publish(topic, key, message, new SourceLine(file, line));

    /// <summary>Ends not before <see cref="Now"/> plus the duration, by the database's clock, whatever happens meanwhile. A long sleep
    /// costs one row and no memory.</summary>
    /// <param name="duration">Zero or less ends at once, what would end after the year 9999 ends in it.
    /// <see cref="Timeout.InfiniteTimeSpan"/> throws <see cref="ArgumentOutOfRangeException"/>: a sleep ends.</param>
    protected Task Sleep(TimeSpan duration, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        Runtime.Sleep(duration, new SourceLine(file, line));

    /// <summary>Ends not before this time, by the database's clock, whatever happens meanwhile; at once when it has passed, and in the year
    /// 9999 at the latest.</summary>
    protected Task SleepUntil(DateTimeOffset due, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        Runtime.SleepUntil(due, new SourceLine(file, line));

    /// <summary>Waits until the condition holds; it is looked at after every delivery and must only read the workflow's own
    /// fields.</summary>
    /// <param name="name">By which people see what the run waits for. Default: the text of the condition. Never compared in
    /// replay.</param>
    protected Task WaitUntil(
        Func<bool> condition,
        [CallerArgumentExpression(nameof(condition))] string name = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) =>
        Runtime.WaitUntil(condition, null, name, new SourceLine(file, line));

    /// <summary>True when the condition came to hold, false when the durable time-out was delivered first.</summary>
    /// <param name="condition">Is looked at after every delivery and must only read the workflow's own fields.</param>
    /// <param name="timeout">Zero or less, <see cref="Timeout.InfiniteTimeSpan"/> among it, has passed: what is left of a time is often
    /// computed. What would end after the year 9999 ends in it. To wait without an end leave it out.</param>
    /// <param name="name">By which people see what the run waits for. Default: the text of the condition. Never compared in
    /// replay.</param>
    protected Task<bool> WaitUntil(
        Func<bool> condition,
        TimeSpan timeout,
        [CallerArgumentExpression(nameof(condition))] string name = "",
        [CallerFilePath] string file = "",
        [CallerLineNumber] int line = 0) =>
        Runtime.WaitUntil(condition, timeout, name, new SourceLine(file, line));

    /// <summary>The next message of the topic, each taken once, in the order of the journal; also those that came before anyone
    /// asked.</summary>
    /// <param name="topic">1 to 200 characters, well-formed and without control characters.</param>
    /// <remarks>One that lost a race with <c>Task.WhenAny</c> still waits in line and takes the next message: keep its task, and race it
    /// again.</remarks>
    protected Task<T> Receive<T>(string topic, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0) =>
        Runtime.Receive<T>(topic, new SourceLine(file, line));
}
