using System.Diagnostics;
using Actors.Execution;
using Actors.Hosting;
using Actors.Storage;
using Actors.Wire;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Actors.Support;

/// <summary>One engine without a cluster, on a database: what a silo does between its grains and Postgres.</summary>
internal sealed class TestEngine : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    private TestEngine(ServiceProvider services, ActorsBuilder builder, WorkflowEngine engine, StatementProbe probe) =>
        (_services, Builder, Engine, Probe) = (services, builder, engine, probe);

    public ActorsBuilder Builder { get; }

    public IServiceProvider Services => _services;

    public WorkflowEngine Engine { get; }

    public StatementProbe Probe { get; }

    public Guid Silo => Engine.Context.Database.Silo;

    public static async Task<TestEngine> StartAsync(
        string connectionString, Action<ActorsBuilder> configure, Action<ILoggingBuilder>? logging = null, StatementProbe? probe = null)
    {
        var collection = new ServiceCollection();
        collection.AddLogging(logging ?? (_ => { }));
        var settings = new ActorsBuilder(collection);
        configure(settings);
        settings.Execution.ReplayCheck ??= ReplayCheck.Throw;
        var services = collection.BuildServiceProvider();
        probe ??= new StatementProbe();
        var engine = EngineFactory.Create(connectionString, settings, services, probe, Guid.NewGuid());
        await engine.StartAsync();
        await SiloRegistry.RegisterAsync(engine.Context.Database, "test", "127.0.0.1:0@0", TimeSpan.FromHours(1), engine.Context.Codes.All);
        return new TestEngine(services, settings, engine, probe);
    }

    public async Task<StartReply> StartWorkflowAsync<TInput>(
        string id, string type, TInput input, StartPolicy policy = StartPolicy.Attach) =>
        await Engine.StartAsync(new WorkflowId(id), new StartCall(type, Engine.Context.Payloads.Write(input, $"input"), policy, null));

    public async Task<TResult> ResultAsync<TResult>(string id, TimeSpan? patience = null)
    {
        var (limit, watch) = (patience ?? TimeSpan.FromSeconds(30), Stopwatch.StartNew());
        var reply = await Engine.ResultAsync(new WorkflowId(id), new ResultCall { Limit = limit });
        while (!reply.Ended && watch.Elapsed < limit)
        {
            // It moved: asked again, as a handle does.
            reply = await Engine.ResultAsync(new WorkflowId(id), new ResultCall { Limit = limit - watch.Elapsed });
        }

        return !reply.Ended ? throw new TimeoutException($"Workflow '{id}' did not end.")
            : reply.Failure is { } failure ? throw new WorkflowFailedException(id, failure.Type, failure.Message, failure.Stack)
            : Engine.Context.Payloads.Read<TResult>(reply.Result, $"result");
    }

    public async Task<TResult> RunAsync<TInput, TResult>(string id, string type, TInput input, TimeSpan? patience = null)
    {
        await StartWorkflowAsync(id, type, input);
        return await ResultAsync<TResult>(id, patience);
    }

    public Task SignalAsync(string id, string name, object?[] arguments, string? messageId = null) => Engine.SignalAsync(
        new WorkflowId(id), new SignalCall(
            name, false, Engine.Context.Payloads.Write(arguments, $"arguments"), messageId ?? Guid.NewGuid().ToString("N")));

    public Task SendAsync<T>(string id, string topic, T message, string? messageId = null) => Engine.SignalAsync(
        new WorkflowId(id), new SignalCall(
            topic, true, Engine.Context.Payloads.Write(message, $"message"), messageId ?? Guid.NewGuid().ToString("N")));

    public async Task<T> QueryAsync<T>(string id, string name) => Engine.Context.Payloads.Read<T>(
        await Engine.QueryAsync(
            new WorkflowId(id), new QueryCall(name, Engine.Context.Payloads.Write(Array.Empty<object>(), $"arguments"))), $"value");

    public Task<StatusReply> StatusAsync(string id) => Engine.StatusAsync(new WorkflowId(id), new StatusCall());

    /// <summary>As a process dies: nothing is released and nothing is awaited. The registry says that it is dead.</summary>
    public Task DieAsync() => SiloRegistry.DeclareDeadAsync(Engine.Context.Database.Users, Silo);

    public async ValueTask DisposeAsync()
    {
        await Engine.DisposeAsync();
        await _services.DisposeAsync();
    }
}
