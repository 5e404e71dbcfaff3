using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Diagnostics;
using Actors.Execution;
using Actors.Postgres;
using Actors.Housekeeping;
using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Actors.Benchmarks;

/// <summary>What one load cost and how long it took.</summary>
/// <param name="Steps">Of the workflows that this process' callers saw end.</param>
/// <param name="StepsRun">Steps that ran in this process, whoever called.</param>
/// <param name="SiloMicrosecondsPerStep">Of processor, of this process, the callers among it.</param>
internal sealed record Measure(
    int Concurrency, double Steps, double StepsRun, double StepsPerSecond, double StepP50Ms, double StepP99Ms, double WorkflowP50Ms, double WorkflowP99Ms,
    double CommitsPerStep, double RoundTripsPerStep, double WalBytesPerStep, double BytesAllocatedPerStep,
    double SiloMicrosecondsPerStep, double? ServerMicrosecondsPerStep);

/// <summary>A whole silo in this process; callers are inside it, as an application's HTTP handlers are.</summary>
internal sealed class SiloUnderTest : IAsyncDisposable
{
    private readonly IHost _host;
    private readonly NpgsqlDataSource _database;
    private int _run;

    private SiloUnderTest(IHost host, NpgsqlDataSource database) => (_host, _database) = (host, database);

    /// <param name="delivers">Else its outbox rows stay: delivery is another load.</param>
    public static async Task<SiloUnderTest> StartAsync(string connectionString, bool delivers = false, TimeSpan? keeps = null)
    {
        // Not the working directory, where the database writes: its files would be watched.
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.SetMinimumLevel(LogLevel.Error);
        builder.AddActors(connectionString, actors =>
        {
            actors.AddWorkflow<TenSteps>().AddWorkflow<OneStep>().AddWorkflow<Sleeper>().AddWorkflow<Listener>().AddWorkflow<Transfers>().AddWorkflow<Teller>();
            actors.Outbox.Add("bench", new HandlerSink((message, _) =>
            {
                OnDelivered?.Invoke(message);
                return Task.CompletedTask;
            }), "bench");
            (actors.OutboxOptions.Delivers, actors.Execution.KeepEndedFor) = (delivers, keeps);
            (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = (LoopbackPort.Free(), LoopbackPort.Free());
        });
        var host = builder.Build();
        await host.StartAsync();
        return new SiloUnderTest(host, NpgsqlDataSource.Create(connectionString));
    }

    /// <summary>Told of each message that a silo of this process delivers.</summary>
    public static Action<OutboxMessage>? OnDelivered { get; set; }

    /// <summary>For whose lanes it delivers.</summary>
    public int Partitions => _host.Services.GetRequiredService<PartitionSet>().Partitions.Length;

    public IWorkflowClient Workflows => _host.Services.GetRequiredService<IWorkflowClient>();

    public WorkflowEngine Engine => _host.Services.GetRequiredService<WorkflowEngine>();

    /// <summary>Seconds of processor that the server has used.</summary>
    public Task<double?> ServerCpuAsync() => CpuTime.OfServerAsync(_database);

    public async Task ExecuteAsync(string sql)
    {
        await using var command = _database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public StatementProbe Probe => _host.Services.GetRequiredService<WorkflowEngine>().Context.Database.Probe;

    public Task<T> ScalarAsync<T>(string sql) => _database.ScalarAsync<T>(sql);

    /// <summary>Looks once a second until the query gives true.</summary>
    public Task UntilAsync(string sql, TimeSpan? limit = null) => _database.UntilAsync(sql, TimeSpan.FromSeconds(1), limit ?? TimeSpan.FromSeconds(120));

    /// <summary>Commands that this process sends to Postgres, Orleans' own among them, as Npgsql counts them.</summary>
    public static async Task<double> CommandsPerSecondAsync(TimeSpan duration)
    {
        long commands = 0;
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument is { Meter.Name: "Npgsql", Name: "db.client.commands.duration" or "db.client.operation.duration" })
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((_, _, _, _) => Interlocked.Increment(ref commands));
        listener.Start();
        await Task.Delay(duration);
        return commands / duration.TotalSeconds;
    }

    /// <summary>Null where they cannot be counted.</summary>
    public async Task<double?> SystemCallsPerStepAsync(int concurrency, TimeSpan duration)
    {
        using var calls = await SystemCalls.BeginAsync();
        if (calls is null)
        {
            return null;
        }

        var measure = await LoadAsync(concurrency, duration);
        return await calls.EndAsync() / measure.Steps;
    }

    /// <summary>Keeps this many workflows under way for the time, each from its start to its awaited result.</summary>
    public async Task<Measure> LoadAsync(int concurrency, TimeSpan duration)
    {
        var engine = _host.Services.GetRequiredService<WorkflowEngine>();
        var probe = _host.Services.GetRequiredService<StatementProbe>();
        var ticks = new ConcurrentBag<long>();
        TenSteps.StepTicks = [];
        var (trips, commits, wal, allocated) = (probe.RoundTrips, engine.Context.Journal.GroupsCommitted, await WalAsync(), GC.GetTotalAllocatedBytes(precise: true));
        var (siloCpu, serverCpu) = (Environment.CpuUsage.TotalTime, await CpuTime.OfServerAsync(_database));
        var watch = Stopwatch.StartNew();
        await RunAsync<ITenSteps>(concurrency, duration, ticks.Add);
        var elapsed = watch.Elapsed.TotalSeconds;
        siloCpu = Environment.CpuUsage.TotalTime - siloCpu;
        serverCpu = await CpuTime.OfServerAsync(_database) - serverCpu;
        double steps = ticks.Count * TenSteps.Steps;
        return new Measure(
            concurrency,
            steps,
            TenSteps.StepTicks.Count,
            steps / elapsed,
            Percentile(TenSteps.StepTicks, 0.5),
            Percentile(TenSteps.StepTicks, 0.99),
            Percentile(ticks, 0.5),
            Percentile(ticks, 0.99),
            (engine.Context.Journal.GroupsCommitted - commits) / steps,
            (probe.RoundTrips - trips) / steps,
            (await WalAsync() - wal) / steps,
            (GC.GetTotalAllocatedBytes(precise: true) - allocated) / steps,
            siloCpu.TotalMicroseconds / steps,
            serverCpu * 1e6 / steps);
    }

    /// <summary>Workflows that take a number, from start to awaited result, this many at a time.</summary>
    public async Task<double> WorkflowsPerSecondAsync<TContract>(int concurrency, TimeSpan duration)
        where TContract : class, IWorkflow<int, int>
    {
        var (watch, done) = (Stopwatch.StartNew(), 0);
        await RunAsync<TContract>(concurrency, duration, _ => Interlocked.Increment(ref done));
        return done / watch.Elapsed.TotalSeconds;
    }

    private async Task RunAsync<TContract>(int concurrency, TimeSpan duration, Action<long> ended)
        where TContract : class, IWorkflow<int, int>
    {
        var (watch, run) = (Stopwatch.StartNew(), ++_run);
        await Task.WhenAll(Enumerable.Range(0, concurrency).Select(async client =>
        {
            for (var i = 0; watch.Elapsed < duration; i++)
            {
                var began = Stopwatch.GetTimestamp();
                var workflow = Workflows.Get<TContract>($"{Environment.ProcessId}-{run}-{client}-{i}");
                await workflow.StartAsync(i);
                await workflow.ResultAsync();
                ended(Stopwatch.GetTimestamp() - began);
            }
        }));
    }

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
        await _database.DisposeAsync();
    }

    private Task<double> WalAsync() => ScalarAsync<double>("select (pg_current_wal_lsn() - '0/0')::float8");

    public static double Percentile(ConcurrentBag<long> ticks, double share)
    {
        var sorted = ticks.Order().ToArray();
        return sorted.Length == 0 ? 0 : sorted[(int)((sorted.Length - 1) * share)] * 1000.0 / Stopwatch.Frequency;
    }
}
