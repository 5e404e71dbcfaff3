using Actors.Calling;
using Actors.Execution;
using Actors.Programs;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Actors;

/// <summary>What a silo runs: workflow classes, outbox destinations, limits. Filled in AddActors and fixed from then on.</summary>
public sealed class ActorsBuilder
{
    internal ActorsBuilder(IServiceCollection services) => Services = services;

    /// <summary>For what the workflows' constructors take.</summary>
    public IServiceCollection Services { get; }

    /// <summary>Where messages go.</summary>
    public OutboxRoutes Outbox { get; } = new();

    /// <summary>How runs live in memory, and the limits that protect the silo from them.</summary>
    public ExecutionOptions Execution { get; } = new();

    /// <summary>How this silo delivers messages.</summary>
    public OutboxOptions OutboxOptions { get; } = new();

    /// <summary>How this silo joins the others.</summary>
    public ActorsClusterOptions Cluster { get; } = new();

    /// <summary>Turns payloads into other bytes, on every silo and client alike. Default: none, payloads stay JSON.</summary>
    public IPayloadCodec? Codec { get; set; }

    internal WorkflowTypes Workflows { get; } = new();

    /// <summary>What this silo understands of stored runs: that of its build, unless a test says otherwise.</summary>
    internal Storage.KnownFormats Formats { get; set; } = Storage.KnownFormats.OfThisBuild;

    internal List<Func<NpgsqlDataSource, CancellationToken, Task>> Migrations { get; } = [];

    /// <summary>Lets this silo run a workflow class.</summary>
    /// <exception cref="ArgumentException">The class or its contract cannot be a workflow's, or another class has its stored name; the
    /// sentence names the member and the way out. <see cref="IWorkflowClient.Get{TContract}"/> refuses the same contracts with the same
    /// sentence.</exception>
    public ActorsBuilder AddWorkflow<TWorkflow>()
        where TWorkflow : Workflow
    {
        Workflows.Add(typeof(TWorkflow));
        return this;
    }

    /// <summary>
    /// Brings tables of your own up to date wherever the engine's schema is, and after it: at the start of a silo
    /// (<see cref="ActorsClusterOptions.Migrate"/>) and by <see cref="ActorsSiloHosting.MigrateActorsAsync"/>. What it throws keeps the
    /// silo from starting. In the order in which they were added.
    /// </summary>
    /// <param name="migrate">May run again, and in several silos at a time: <c>create table if not exists</c>, or a library that takes a
    /// lock.</param>
    public ActorsBuilder AddMigration(Func<NpgsqlDataSource, CancellationToken, Task> migrate)
    {
        ArgumentNullException.ThrowIfNull(migrate);
        Migrations.Add(migrate);
        return this;
    }
}
