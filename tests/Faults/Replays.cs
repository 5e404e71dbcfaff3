using Actors.Execution;
using Actors.Hosting;
using Actors.Programs;
using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Actors.Faults;

/// <summary>Runs the histories that stand in the database through fresh code, as a silo does that never saw them. Writes nothing.</summary>
internal sealed class Replays : IAsyncDisposable
{
    private readonly ServiceProvider _services;
    private readonly WorkflowEngine _engine;

    public Replays(string connectionString)
    {
        var collection = new ServiceCollection();
        collection.AddLogging().AddSingleton(new World(0));
        _services = collection.BuildServiceProvider();
        _engine = EngineFactory.Create(
            connectionString, new ActorsBuilder(collection).AddWorkflow<Bank>(), _services, new StatementProbe(), Guid.NewGuid());
    }

    /// <summary>The state after each row of the history so far; nothing where there is no such run.</summary>
    /// <exception cref="WorkflowCodeException">The history is not one of this code.</exception>
    public async Task<List<string>> StatesAsync(string id)
    {
        var context = _engine.Context;
        if (await context.Claims.ReadAsync(new WorkflowId(id)) is not { History.Count: > 0 } loaded)
        {
            return [];
        }

        var code = new WorkflowProgram(
            loaded.Row, context.Types.Get(loaded.Row.Type, loaded.Row.Id), _services, context.Payloads, context.Messages,
            NullLogger.Instance, _ => { });
        code.Expect(loaded.History);
        var states = new List<string>();
        foreach (var row in loaded.History)
        {
            code.Apply(row);
            states.Add(((Bank)code.Workflow).State());
            if (code.Violation is { } violation)
            {
                throw violation;
            }
        }

        return states;
    }

    public async ValueTask DisposeAsync()
    {
        await _engine.DisposeAsync();
        await _services.DisposeAsync();
    }
}
