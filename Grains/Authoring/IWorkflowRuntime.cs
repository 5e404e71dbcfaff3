using Microsoft.Extensions.Logging;

namespace Actors;

/// <summary>Where a command stands in the user's code.</summary>
internal readonly record struct SourceLine(string File, int Line)
{
    public override string ToString() => $"{Path.GetFileName(File.Replace('\\', '/'))}:{Line}";
}

/// <summary>What a workflow object asks of the engine; one object a run in memory.</summary>
internal interface IWorkflowRuntime
{
    WorkflowId Id { get; }

    Guid Run { get; }

    DateTimeOffset Now { get; }

    Random Random { get; }

    ILogger Logger { get; }

    Guid NewGuid();

    Task<T> Step<T>(string name, Func<StepContext, Task<T>> body, Retry retry, SourceLine line);

    Task<T> Transaction<T>(string name, Func<TransactionContext, Task<T>> body, TransactionOptions options, SourceLine line);

    void Publish<T>(string topic, string key, T message, SourceLine line);

    Task Sleep(TimeSpan duration, SourceLine line);

    Task SleepUntil(DateTimeOffset due, SourceLine line);

    Task<bool> WaitUntil(Func<bool> condition, TimeSpan? timeout, string name, SourceLine line);

    Task<T> Receive<T>(string topic, SourceLine line);
}
