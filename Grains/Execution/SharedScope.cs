using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>What a workflow was given by its host: it lives as long as its run is in memory, and as any of its bodies may use it.</summary>
internal sealed partial class SharedScope(AsyncServiceScope scope, WorkflowId id, ILogger log)
{
    private int _holders = 1; // The run itself.

    public IServiceProvider Services => scope.ServiceProvider;

    public void Hold() => Interlocked.Increment(ref _holders);

    /// <summary>Once by each holder.</summary>
    public void LetGo()
    {
        if (Interlocked.Decrement(ref _holders) == 0)
        {
            _ = DisposeAsync();
        }
    }

    private async Task DisposeAsync()
    {
        try
        {
            await scope.DisposeAsync();
        }
        catch (Exception error)
        {
            LogFailed(log, id, ErrorText.Loggable(error));
        }
    }

    [LoggerMessage(206, LogLevel.Warning, "Workflow '{Id}': a service of its scope threw when it was disposed of.")]
    private static partial void LogFailed(ILogger log, WorkflowId id, Exception error);
}
