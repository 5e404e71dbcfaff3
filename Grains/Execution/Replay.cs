using Actors.Storage;
using Actors.Wire;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>Runs a history through the code without any effect.</summary>
internal static class Replay
{
    /// <summary>The value of a query on the object as its history left it.</summary>
    /// <exception cref="WorkflowCodeException">The code does not match the history.</exception>
    public static async Task<Payload> QueryAsync(EngineContext engine, LoadedRun loaded, QueryRequest query)
    {
        await using var scope = engine.Services.CreateAsyncScope();
        return Code(engine, loaded, scope.ServiceProvider).Query(query.Name, query.Arguments);
    }

    /// <summary>The object as this history leaves it.</summary>
    /// <param name="undelivered">What the history holds beyond it, and the code was never told.</param>
    /// <exception cref="WorkflowCodeException">The code does not match the history.</exception>
    public static WorkflowCode Code(EngineContext engine, LoadedRun loaded, IServiceProvider services, IReadOnlyList<JournalRow>? undelivered = null)
    {
        var code = new WorkflowCode(
            loaded.Row, engine.Types.Get(loaded.Row.Type, loaded.Row.Id), services, engine.Payloads, engine.Messages, engine.Loggers.CreateLogger($"Actors.Workflow.{loaded.Row.Type}"), _ => { });
        code.Expect([.. loaded.History, .. undelivered ?? []]);
        foreach (var row in loaded.History)
        {
            code.Deliver(row);
            if (code.Violation is { } violation)
            {
                throw violation;
            }
        }

        return code;
    }
}
