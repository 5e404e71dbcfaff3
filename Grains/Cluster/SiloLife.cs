using System.Collections.Concurrent;
using System.Diagnostics;
using Actors.Execution;
using Actors.Outbox;
using Actors.Housekeeping;
using Actors.Storage;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans.Configuration;

namespace Actors.Cluster;

/// <summary>
/// The engine's place in a silo's life: schema and lease before the silo joins, sweeps and relay once it is active, and at the end
/// its workflows are given away while the others can still be told.
/// </summary>
internal sealed partial class SiloLife(
    WorkflowEngine engine,
    SchemaUpdate schema,
    Sweeper sweeper,
    Retention retention,
    MembershipWatch watch,
    OutboxRelay relay,
    TurnWatch turns,
    ClusterLinks links,
    ColdStart cold,
    ActorsClusterOptions options,
    OutboxOptions relays,
    IOptions<EndpointOptions> endpoints,
    ILocalSiloDetails here,
    SiloHealth health,
    IHostApplicationLifetime host,
    ILogger<SiloLife> log) : ILifecycleParticipant<ISiloLifecycle>
{
    private readonly CancellationTokenSource _stop = new();
    private Task[] _running = [];

    public void Participate(ISiloLifecycle lifecycle)
    {
        lifecycle.Subscribe(nameof(SiloLife), ServiceLifecycleStage.First, PrepareAsync, EndAsync);
        lifecycle.Subscribe(nameof(SiloLife), ServiceLifecycleStage.Active, RunAsync, DrainAsync);
    }

    /// <summary>The sweep found that this silo was declared dead: whatever it still does is fenced. It ends, and its process starts
    /// anew.</summary>
    public void LeaseLost()
    {
        if (!_stop.IsCancellationRequested)
        {
            LogLeaseLost();
            health.Draining = true;
            Environment.ExitCode = 1;
            host.StopApplication();
        }
    }

    private async Task PrepareAsync(CancellationToken cancellation)
    {
        SiloPorts.RequireFree(endpoints.Value);
        links.Tie();
        for (var tries = 1; ; tries++)
        {
            try
            {
                var database = engine.Context.Database;
                await (options.Migrate ? schema.RunAsync(database, cancellation)
                    : Migrator.CheckAsync(database.Users, cancellation));
                await engine.StartAsync(cancellation);
                (await Durability.OffAsync(database)).ForEach(LogNotDurable);
                await cold.RetireDeadMembersAsync(here.SiloAddress, cancellation);
                var asked = Stopwatch.GetTimestamp();
                await SiloRegistry.RegisterAsync(
                    database, options.SiloName, here.SiloAddress.ToParsableString(), options.LeaseDuration, engine.Context.Codes.All);
                engine.Context.Lease.Renewed(asked, options.LeaseDuration);
                return;
            }
            catch (Exception error)
                when (error is not OperationCanceledException && engine.Context.Database.AccessProblem(error) is { } problem)
            {
                if (!problem.IsTransient)
                {
                    throw problem;
                }

                LogWaiting(problem.Message);
                await Task.Delay(PostgresFaults.Pause(tries), cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (cancellation.IsCancellationRequested)
                {
                    throw problem; // The host's patience is at an end: it says for what it has waited.
                }
            }
        }
    }

    private Task RunAsync(CancellationToken cancellation)
    {
        FullHeap.EndsTheProcess();
        turns.Start();
        _running =
        [
            BeginAsync("sweep", sweeper.RunAsync),
            options.WatchesMembership ? BeginAsync("membership watch", watch.RunAsync) : Task.CompletedTask,
            relays.Delivers ? BeginAsync("relay", relay.RunAsync) : Task.CompletedTask,
            BeginAsync("rest", RestAsync),
            BeginAsync("retention", retention.RunAsync),
        ];
        health.Active = true;
        return Task.CompletedTask;
    }

    /// <summary>What these do for the life of the silo has nothing of whoever started the host around it. None ends before the silo does:
    /// one that throws is logged, shown by the health for a minute, and begun anew.</summary>
    private Task<bool> BeginAsync(string name, Func<CancellationToken, Task> loop) => Ambient.LeaveAsync(async () =>
    {
        await Task.Yield();
        for (var failures = 1; ; failures++)
        {
            try
            {
                await loop(_stop.Token);
                return true;
            }
            catch (Exception error) when (!_stop.IsCancellationRequested)
            {
                health.Failed(name);
                LogLoopFailed(name, failures, error);
                await Task.Delay(PostgresFaults.Pause(failures), _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    });

    private async Task RestAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(500));
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
            {
                engine.RestIdle();
            }
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    private async Task DrainAsync(CancellationToken cancellation)
    {
        health.Draining = true;
        await engine.DrainAsync(options.DrainLimit);
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
        await RemoveAsync(); // Before Orleans tells the others that it is gone: by that they know that it has left.
    }

    private Task EndAsync(CancellationToken cancellation)
    {
        turns.Dispose();
        return RemoveAsync(); // It may never have become active.
    }

    private async Task RemoveAsync()
    {
        try
        {
            await SiloRegistry.RemoveAsync(engine.Context.Database);
        }
        catch (Exception error) when (PostgresFaults.IsUnreachable(error))
        {
            LogWaiting(error.Message); // The others find the lease expired, or Orleans tells them.
        }
    }

    [LoggerMessage(631, LogLevel.Warning, "Postgres cannot be reached yet: {Reason}")]
    private partial void LogWaiting(string reason);

    [LoggerMessage(633, LogLevel.Warning,
        "Postgres runs with {Setting} = off: when its machine stops, what was acknowledged may be lost or damaged. Switch it on.")]
    private partial void LogNotDurable(string setting);

    [LoggerMessage(634, LogLevel.Error, "The {Loop} of this silo failed, {Failures} time(s) by now; it begins anew.")]
    private partial void LogLoopFailed(string loop, int failures, Exception error);

    [LoggerMessage(632, LogLevel.Critical, "This silo was declared dead by the others. It ends; start it anew.")]
    private partial void LogLeaseLost();
}

/// <summary>What the probes ask.</summary>
internal sealed class SiloHealth
{
    public volatile bool Active;
    public volatile bool Draining;

    private readonly ConcurrentDictionary<string, long> _failed = new();

    /// <summary>The loops that failed in the last minute, or null.</summary>
    public string? FailedLoops
    {
        get
        {
            var failed = _failed.Where(loop => Environment.TickCount64 - loop.Value < 60_000)
                .Select(loop => loop.Key).Order(StringComparer.Ordinal).ToList();
            return failed.Count == 0 ? null : $"Failed within a minute, and began anew: {string.Join(", ", failed)}.";
        }
    }

    public void Failed(string loop) => _failed[loop] = Environment.TickCount64;
}
