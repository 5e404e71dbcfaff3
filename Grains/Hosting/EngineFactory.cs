using Actors.Calling;
using Actors.Execution;
using Actors.Programs;
using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Actors.Hosting;

/// <summary>Puts the engine together. It runs by itself; a cluster is added around it.</summary>
internal static class EngineFactory
{
    /// <summary>Connects nothing yet: the database may still be away.</summary>
    public static WorkflowEngine Create(
        string connectionString, ActorsBuilder settings, IServiceProvider services, StatementProbe probe, Guid silo)
    {
        var loggers = new SafeLoggers(services.GetRequiredService<ILoggerFactory>());
        var options = settings.Execution;
        var database = new EngineDatabase(connectionString, silo, options.TransactionConnectionsMax, options.IdleTransactionTimeout, probe);
        var types = settings.Workflows;
        var payloads = new PayloadSerializer(settings.Codec) { SizeMax = options.PayloadSizeMax };
        var time = Time(services);
        var clock = new DatabaseClock(time);
        var codes = new Codes(database, types.Declared, loggers.CreateLogger<Codes>()) { Formats = settings.Formats };
        var journal = new JournalWriter(database, options.CommitSlots, options.GroupSizeMax, loggers.CreateLogger<JournalWriter>());
        var runs = new RunTable(database);
        var context = new EngineContext(
            database,
            journal,
            new Claims(database, codes, options.GroupSizeMax, options.CrashLimit),
            runs,
            codes,
            types,
            payloads,
            (topic, key, message, type) => Prepare(settings.Outbox, payloads, topic, key, message, type),
            clock,
            new DueTimers(clock, time),
            new TransactionSessions(database, journal, runs, options, time, loggers.CreateLogger<TransactionSessions>()),
            services.GetRequiredService<IServiceScopeFactory>(),
            loggers,
            options,
            new ReplayFindings(options.ReplayCheck ?? (IsDevelopment(services) ? ReplayCheck.Throw : ReplayCheck.Off)),
            time);
        return new WorkflowEngine(context, new InstanceNumbers(database, time), loggers.CreateLogger<WorkflowEngine>());
    }

    /// <summary>This process's clock, as the host has it registered: the engine takes its monotonic part alone, its time of day is the
    /// database's.</summary>
    public static TimeProvider Time(IServiceProvider services) => services.GetService<TimeProvider>() ?? TimeProvider.System;

    private static bool IsDevelopment(IServiceProvider services) => services.GetService<IHostEnvironment>()?.IsDevelopment() is true;

    private static OutgoingMessage Prepare(
        OutboxRoutes routes, PayloadSerializer payloads, string topic, string key, object? message, Type type)
    {
        NameRule.Checked(topic, "The topic of a message");
        NameRule.Checked(key, "The key of a message", min: 0);
        var destinations = routes.DestinationsFor(topic);
        return destinations.Count == 0
            ? throw new UnknownTopicException($"No outbox destination takes topic '{topic}': add one with Outbox.Add in AddActors.")
            : new OutgoingMessage(topic, key, payloads.Write(message, type, $"Message for topic '{topic}'"), destinations);
    }
}
