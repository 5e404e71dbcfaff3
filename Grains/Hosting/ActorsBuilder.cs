using Actors.Calling;
using Microsoft.Extensions.DependencyInjection;

namespace Actors;

/// <summary>What a silo runs: workflow classes, outbox destinations, limits. Filled in AddActors and fixed from then on.</summary>
public sealed class ActorsBuilder
{
    internal ActorsBuilder(IServiceCollection services) => Services = services;

    /// <summary>For what the workflows' constructors take.</summary>
    public IServiceCollection Services { get; }

    /// <summary>Where messages go.</summary>
    public OutboxRoutes Outbox { get; } = new();

    public ExecutionOptions Execution { get; } = new();

    public OutboxOptions OutboxOptions { get; } = new();

    public ActorsClusterOptions Cluster { get; } = new();

    /// <summary>Turns payloads into other bytes, on every silo and client alike. Default: none, payloads stay JSON.</summary>
    public IPayloadCodec? Codec { get; set; }

    internal List<Type> Workflows { get; } = [];

    /// <summary>Lets this silo run a workflow class.</summary>
    public ActorsBuilder AddWorkflow<TWorkflow>()
        where TWorkflow : Workflow
    {
        Workflows.Add(typeof(TWorkflow));
        return this;
    }
}
