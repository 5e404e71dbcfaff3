using Actors.Programs;
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
    public static async Task<Payload> QueryAsync(EngineContext engine, LoadedRun loaded, QueryCall query)
    {
        await using var scope = engine.Services.CreateAsyncScope();
        return Run(engine, loaded, scope.ServiceProvider).Query(query.Name, query.Arguments);
    }

    /// <summary>The object as this history leaves it.</summary>
    /// <param name="undelivered">What the history holds beyond it, and the code was never told.</param>
    /// <exception cref="WorkflowCodeException">The code does not match the history.</exception>
    public static IProgram Run(
        EngineContext engine, LoadedRun loaded, IServiceProvider services, IReadOnlyList<JournalRow>? undelivered = null)
    {
        var type = engine.Types.Get(loaded.Row.Type, loaded.Row.Id);
        var log = engine.Loggers.CreateLogger($"Actors.Workflow.{loaded.Row.Type}");
        var code = type.Program(loaded.Row, services, engine.Payloads, engine.Messages, log, _ => { });
        code.Expect([.. loaded.History, .. undelivered ?? []]);
        foreach (var row in loaded.History)
        {
            code.Apply(row);
            if (code.Violation is { } violation)
            {
                throw violation;
            }
        }

        return code;
    }
}
