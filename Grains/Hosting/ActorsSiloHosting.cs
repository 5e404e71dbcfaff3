using System.ComponentModel.DataAnnotations;
using System.Net;
using Actors.Calling;
using Actors.Cluster;
using Actors.Execution;
using Actors.Hosting;
using Actors.Outbox;
using Actors.Housekeeping;
using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Configuration;
using Orleans.Runtime.Placement;

namespace Actors;

/// <summary>Makes a host a silo that runs workflows.</summary>
public static class ActorsSiloHosting
{
    /// <summary>
    /// Adds the engine, an Orleans silo on the same Postgres (clustering, reminders, default grain storage), <see cref="IWorkflowClient"/>
    /// and health checks tagged <c>live</c> and <c>ready</c>. Call once; give the host a shutdown time-out longer than
    /// <see cref="ActorsClusterOptions.DrainLimit"/>. Where the host has no <see cref="TimeProvider"/> of its own it gets one that shows
    /// the database's time, for Orleans too.
    /// </summary>
    /// <param name="connectionString">Npgsql connection string of the database that holds workflows and business tables alike.</param>
    /// <exception cref="ArgumentException">The connection string is empty, or names no server.</exception>
    /// <exception cref="ValidationException">An option is outside its bounds; the message names option and bound.</exception>
    public static IHostApplicationBuilder AddActors(
        this IHostApplicationBuilder builder, string connectionString, Action<ActorsBuilder> configure)
    {
        ConnectionText.Checked(connectionString);
        var settings = new ActorsBuilder(builder.Services);
        configure(settings);
        foreach (var options in new object[] { settings.Execution, settings.OutboxOptions, settings.Cluster })
        {
            Validator.ValidateObject(options, new ValidationContext(options), validateAllProperties: true);
        }

        if (!IPAddress.TryParse(settings.Cluster.AdvertisedAddress, out _))
        {
            throw new ValidationException(
                $"AdvertisedAddress: '{settings.Cluster.AdvertisedAddress}' is no IP address, which others could reach this silo at.");
        }

        if (settings.Cluster.LeaseDuration < 4 * settings.Cluster.SweepInterval)
        {
            throw new ValidationException(
                "LeaseDuration: at least four times SweepInterval, or a silo that sweeps in time would count as one that cannot reach "
                    + "Postgres.");
        }

        AddClock(builder.Services);
        AddEngine(builder.Services, connectionString, settings);
        AddClusterParts(builder.Services, settings);
        builder.UseOrleans(silo => ConfigureOrleans(silo, connectionString, settings.Cluster));
        builder.Services.AddHealthChecks()
            .AddCheck("process", () => HealthCheckResult.Healthy(), ["live"])
            .AddCheck<SiloReadyCheck>("silo", tags: ["ready"]);
        return builder;
    }

    /// <summary>Brings the schema of the host's database up to date, and the tables that were added with
    /// <see cref="ActorsBuilder.AddMigration"/>. For a job before a deployment: the host is built and not started.</summary>
    /// <exception cref="ActorsException">The schema cannot be brought up to date; the type and the sentence say why.</exception>
    /// <exception cref="NpgsqlException">The database cannot be reached.</exception>
    public static Task MigrateActorsAsync(this IServiceProvider services, CancellationToken cancellation = default) =>
        services.GetRequiredService<SchemaUpdate>().RunAsync(services.GetRequiredService<EngineDatabase>(), cancellation);

    private static void AddClock(IServiceCollection services)
    {
        if (services.All(service =>
            service.ServiceType != typeof(TimeProvider) || service.IsKeyedService || service.ImplementationInstance == TimeProvider.System))
        {
            services.AddSingleton<TimeProvider>(new ClusterClock(TimeProvider.System));
        }
    }

    private static void AddEngine(IServiceCollection services, string connectionString, ActorsBuilder settings)
    {
        services.AddSingleton(settings.Cluster);
        services.AddSingleton(new SchemaUpdate(settings.Migrations));
        services.AddSingleton(provider =>
            new SiloInfo(provider.GetRequiredService<EngineDatabase>().Silo, settings.Cluster.SiloName));
        services.AddSingleton(settings.OutboxOptions);
        services.AddSingleton(new StatementProbe(Environment.GetEnvironmentVariable(StatementProbe.Variable)));
        services.AddSingleton(provider =>
        {
            var engine = EngineFactory.Create(
                connectionString, settings, provider, provider.GetRequiredService<StatementProbe>(), Guid.NewGuid());
            if (provider.GetRequiredService<TimeProvider>() is ClusterClock shared)
            {
                shared.Database = () => engine.Context.Clock.Now;
            }

            return engine;
        });
        services.AddSingleton(provider => provider.GetRequiredService<WorkflowEngine>().Context.Database);
        services.AddSingleton(provider => provider.GetRequiredService<WorkflowEngine>().Context.Payloads);
        services.AddSingleton<PartitionSet>();
        services.AddSingleton(provider =>
        {
            var engine = provider.GetRequiredService<WorkflowEngine>();
            return new OutboxRelay(
                provider.GetRequiredService<OutboxTable>(),
                settings.Outbox.Sinks(provider),
                engine.Context.Payloads,
                settings.OutboxOptions,
                () => provider.GetRequiredService<PartitionSet>().Partitions,
                new ClusterClock(EngineFactory.Time(provider)) { Database = () => engine.Context.Clock.Now },
                provider.GetRequiredService<ILogger<OutboxRelay>>());
        });
        services.AddSingleton(provider =>
            new OutboxTable(provider.GetRequiredService<EngineDatabase>().Engine, provider.GetRequiredService<StatementProbe>()));
        services.AddSingleton<IDeadLetters, DeadLetters>();
        settings.Outbox.Register(services);
        AddSafeLoggers(services);
        services.AddSingleton<WorkflowCalls>();
        services.AddSingleton<StartsHere>();
        services.AddSingleton<SiloRoute>();
        services.AddSingleton<TurnWatch>();
        services.AddSingleton<SiloHealth>();
        services.AddSingleton<IWorkflowClient>(provider =>
            new WorkflowClient(provider.GetRequiredService<IGrainFactory>(), provider.GetRequiredService<PayloadSerializer>(),
                TimeSpan.FromSeconds(10))
            {
                Route = provider.GetRequiredService<SiloRoute>(),
            });
    }

    /// <summary>Those who get their logger from the host: see <see cref="SafeLoggers"/>.</summary>
    private static void AddSafeLoggers(IServiceCollection services)
    {
        AddSafeLogger<OutboxRelay>(services);
        AddSafeLogger<Sweeper>(services);
        AddSafeLogger<Retention>(services);
        AddSafeLogger<ColdStart>(services);
        AddSafeLogger<MembershipWatch>(services);
        AddSafeLogger<PartitionGrain>(services);
        AddSafeLogger<SiloLife>(services);
        AddSafeLogger<TurnWatch>(services);
    }

    private static void AddSafeLogger<T>(IServiceCollection services) => services.AddSingleton<ILogger<T>>(provider =>
        new Logger<T>(new SafeLoggers(provider.GetRequiredService<ILoggerFactory>())));

    private static void AddClusterParts(IServiceCollection services, ActorsBuilder settings)
    {
        services.AddSingleton<RelayWakes>();
        services.AddSingleton<ClusterLinks>();
        services.AddSingleton(provider =>
        {
            var engine = provider.GetRequiredService<WorkflowEngine>();
            return new Sweeper(
                engine.Context.Database,
                provider.GetRequiredService<PartitionSet>(),
                engine.Context.Codes,
                new SweepSettings(settings.Cluster.SweepInterval, settings.Cluster.LeaseDuration, settings.Execution.LookAhead)
                {
                    BuryAfter = settings.Cluster.BuryAfter,
                },
                provider.GetRequiredService<ClusterLinks>().WakeAsync,
                () => settings.Execution.ResidentsMax - engine.ResidentCount,
                () => engine.Unsure,
                engine.Context.Clock.Observe,
                () => provider.GetRequiredService<SiloLife>().LeaseLost(),
                provider.GetRequiredService<ILogger<Sweeper>>())
            {
                Lease = engine.Context.Lease,
                Bury = (silo, address) =>
                    provider.GetRequiredService<MembershipWatch>().BuryAsync(silo, SiloAddress.FromParsableString(address)),
            };
        });
        services.AddSingleton(provider => new Retention(
            provider.GetRequiredService<EngineDatabase>(),
            provider.GetRequiredService<PartitionSet>(),
            settings.Execution.KeepEndedFor,
            settings.Execution.KeepMessageIdsFor,
            provider.GetRequiredService<ILogger<Retention>>()));
        services.AddSingleton<MembershipWatch>();
        services.AddSingleton(provider => new ColdStart(
            provider.GetRequiredService<EngineDatabase>(),
            settings.Cluster.ClusterId,
            settings.Cluster.SweepInterval,
            provider.GetRequiredService<ILogger<ColdStart>>()));
        services.AddSingleton<SiloLife>();
        services.AddSingleton<ILifecycleParticipant<ISiloLifecycle>>(provider => provider.GetRequiredService<SiloLife>());
        services.AddPlacementDirector<WithItsRun, WithItsRunDirector>();
        services.AddPlacementDirector<OnNamedSilo, OnNamedSiloDirector>();
        services.AddPlacementDirector<SpreadOverSilos, SpreadOverSilosDirector>();
    }

    private static void ConfigureOrleans(ISiloBuilder silo, string connectionString, ActorsClusterOptions options)
    {
        // The providers read their statements from OrleansQuery without a schema: their connections need the search path, ours do not.
        var given = new NpgsqlConnectionStringBuilder(connectionString);
        // They send times without a zone where the host has Npgsql's legacy time stamps: the session's zone is UTC.
        var source = new NpgsqlDataSourceBuilder(new NpgsqlConnectionStringBuilder(connectionString)
        {
            SearchPath = "actors", MinPoolSize = Math.Min(given.MinPoolSize, 10), MaxPoolSize = 10, ApplicationName = "actors orleans",
            Enlist = false,
            NoResetOnClose = true, Timezone = "UTC",
        }.ConnectionString).ConfigureTypeLoading(types => types.EnableTypeLoading(false)).Durable().Build();
        silo.Services.Configure<Orleans.Configuration.ClusterOptions>(
            o => (o.ClusterId, o.ServiceId) = (options.ClusterId, options.ClusterId));
        silo.Services.Configure<SiloOptions>(o => o.SiloName = options.SiloName);
        silo.Services.Configure<EndpointOptions>(o =>
        {
            (o.AdvertisedIPAddress, o.SiloPort, o.GatewayPort) = (
                IPAddress.Parse(options.AdvertisedAddress), options.SiloPort, options.GatewayPort);
            if (options.ListenOnAnyAddress)
            {
                o.SiloListeningEndpoint = new IPEndPoint(IPAddress.Any, options.SiloPort);
                o.GatewayListeningEndpoint = new IPEndPoint(IPAddress.Any, options.GatewayPort);
            }
        });
        silo.Services.Configure<ClusterMembershipOptions>(o => Configure(o, options.Membership));
        // Most runs end soon, and Orleans remembers the places of a million: a quarter of a gigabyte.
        silo.Services.Configure<GrainDirectoryOptions>(o => o.CacheSize = 100_000);
        // By its default of 5 silos under the same load give each other their starts.
        silo.Services.Configure<ResourceOptimizedPlacementOptions>(o => o.LocalSiloPreferenceMargin = 15);
        silo.UseAdoNetClustering(o => (o.Invariant, o.DataSource) = ("Npgsql", source));
        silo.UseAdoNetReminderService(o => (o.Invariant, o.DataSource) = ("Npgsql", source));
        silo.AddAdoNetGrainStorageAsDefault(o => (o.Invariant, o.DataSource) = ("Npgsql", source));
    }

    private static void Configure(ClusterMembershipOptions membership, MembershipProfile profile)
    {
        if (profile == MembershipProfile.Tight)
        {
            membership.ProbeTimeout = TimeSpan.FromSeconds(1);
            membership.NumMissedProbesLimit = 2;
            membership.TableRefreshTimeout = TimeSpan.FromSeconds(5);
            membership.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(5);
        }
    }

    private sealed class SiloReadyCheck(SiloHealth health, WorkflowEngine engine) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(
            health.Draining ? HealthCheckResult.Unhealthy("The silo is leaving.")
            : !health.Active ? HealthCheckResult.Unhealthy("The silo has not joined yet.")
            : engine.Context.Lease.IsLost
                ? HealthCheckResult.Unhealthy("The silo could not renew its lease: it takes no calls until Postgres answers.")
            : engine.Context.Database.Probe.Silence is { } silence ? HealthCheckResult.Unhealthy(silence)
            : (health.FailedLoops ?? engine.Context.Database.Probe.Trouble ?? engine.Context.Sessions.Problem) is { } problem
            ? HealthCheckResult.Degraded(problem)
            : HealthCheckResult.Healthy());
    }
}
