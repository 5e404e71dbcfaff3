using System.Collections.Concurrent;
using System.Diagnostics;
using Actors.Storage;
using Microsoft.Extensions.Logging;

namespace Actors.Housekeeping;

/// <summary>
/// The safety net under every direct call: looks at the database once an interval, in one statement, for work that nobody was told of, and
/// renews the silo's lease. A lost wake costs at most an interval.
/// </summary>
/// <param name="unsure">Runs that this silo may own without having them: to be woken until that is answered.</param>
/// <param name="room">How many more runs this silo's memory takes: new ones wait in the database for it.</param>
internal sealed partial class Sweeper(
    EngineDatabase database,
    PartitionSet partitions,
    Codes codes,
    SweepSettings settings,
    Func<WorkflowId, Task> wake,
    Func<int> room,
    Func<IEnumerable<WorkflowId>> unsure,
    Action<DateTimeOffset> observe,
    Action leaseLost,
    ILogger<Sweeper> log)
{
    private const int FailuresBeforeWarning = 3;
    private static readonly TimeSpan FarEvery = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan WakeLimit = TimeSpan.FromSeconds(1); // The lease hangs on the next sweep.

    private readonly WorkFinder _finder = new(database, codes);
    private readonly ExpiredLeases _expired = new(settings.BuryAfter, settings.Lease, TimeProvider.System);
    private readonly WakeSignal _woken = new();
    private readonly ConcurrentDictionary<WorkflowId, bool> _waking = new();
    private readonly ConcurrentDictionary<WorkflowId, (int Times, long Next)> _unwilling = new();
    private readonly ConcurrentDictionary<Guid, bool> _burying = new();

    /// <summary>Is renewed by each sweep.</summary>
    public OwnLease Lease { get; init; } = new();

    /// <summary>Declares a silo dead whose lease expired, by id and address. May throw: it is asked again.</summary>
    public Func<Guid, string, Task> Bury { get; init; } = (_, _) => Task.CompletedTask;

    /// <summary>Sweep now: something happened elsewhere, such as the death of a silo.</summary>
    public void Wake() => _woken.Give();

    /// <summary>Sweeps until it is stopped. Postgres may come and go meanwhile.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var keeping = KeepLeaseAsync(stop);
        await SweepAsync(stop);
        await keeping;
    }

    /// <summary>The lease does not wait for a sweep that has much to do.</summary>
    private async Task KeepLeaseAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await Task.Delay(settings.Lease / 6, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stop.IsCancellationRequested || Lease.Age < settings.Lease / 3)
            {
                continue;
            }

            try
            {
                var asked = Stopwatch.GetTimestamp();
                if (await _finder.RenewLeaseAsync(settings.Lease, stop))
                {
                    Lease.Renewed(asked, settings.Lease);
                }
            }
            catch (Exception error)
            {
                LogLeaseNotRenewed(error.Message);
            }
        }
    }

    private async Task SweepAsync(CancellationToken stop)
    {
        var failures = 0;
        Stopwatch? looked = null; // The first look is far, too.
        for (var sweeps = 0; !stop.IsCancellationRequested; sweeps++)
        {
            try
            {
                var far = looked is null || looked.Elapsed >= FarEvery;
                var full = await SweepAsync(far);
                if (far)
                {
                    looked = Stopwatch.StartNew();
                }

                if (sweeps % 1000 == 999)
                {
                    await SiloRegistry.ForgetAsync(database, stop);
                    ForgetUnwilling();
                }

                failures = 0;
                if (!full)
                {
                    await _woken.TakeAsync(settings.Interval, stop);
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                LogSweepFailed(++failures, error);
                await Task.Delay(PostgresFaults.Pause(failures), CancellationToken.None);
            }
        }
    }

    /// <summary>True when there is more to find.</summary>
    private async Task<bool> SweepAsync(bool far)
    {
        var asked = Stopwatch.GetTimestamp();
        var found = await _finder.FindAsync(settings.Lease, partitions.Partitions, settings.LookAhead, room(), far);
        if (found.Now is { } now)
        {
            observe(now);
            Lease.Renewed(asked, settings.Lease);
        }
        else
        {
            leaseLost();
        }

        foreach (var (id, address) in _expired.Dead(found.Expired).Where(silo => _burying.TryAdd(silo.Id, true)))
        {
            _ = BuryAsync(id, address); // The own lease does not wait for it.
        }

        found.Runs.UnionWith(unsure().Take(WorkFinder.FoundMax));
        var waking = found.Runs.Where(id => IsToBeTried(id) && _waking.TryAdd(id, true)).Select(WakeAsync).ToList();
        if (waking.Count > 0)
        {
            LogFound(found.Count(Finding.Timer), found.Count(Finding.Letter), found.Count(Finding.Orphan), found.Count(Finding.New));
            await Task.WhenAny(Task.WhenAll(waking), Task.Delay(WakeLimit));
        }

        // What is still being woken would be found again: then look later, not at once.
        return waking.Count > 0 && found.IsFull;
    }

    private async Task BuryAsync(Guid silo, string address)
    {
        LogExpired(silo, address, settings.BuryAfter);
        try
        {
            await Bury(silo, address);
        }
        catch (Exception error)
        {
            LogBuryFailed(silo, error.Message); // It is seen again.
        }
        finally
        {
            _burying.TryRemove(silo, out _);
        }
    }

    private async Task WakeAsync(WorkflowId id)
    {
        try
        {
            await wake(id);
            _unwilling.TryRemove(id, out _);
        }
        catch (Exception error)
        {
            var times = _unwilling.GetValueOrDefault(id).Times + 1;
            _unwilling[id] = (times, Environment.TickCount64 + (long)PostgresFaults.Pause(times).TotalMilliseconds);
            var level = times < FailuresBeforeWarning ? LogLevel.Debug : LogLevel.Warning;
            LogWakeFailed(level, id, times, error.Message); // It is found again.
        }
        finally
        {
            _waking.TryRemove(id, out _);
        }
    }

    /// <summary>One that cannot be woken is tried after pauses that get longer, like a statement that fails.</summary>
    private bool IsToBeTried(WorkflowId id) => !_unwilling.TryGetValue(id, out var failed) || Environment.TickCount64 >= failed.Next;

    /// <summary>Those that no sweep has found for a minute: they have ended, or another silo has them.</summary>
    private void ForgetUnwilling()
    {
        foreach (var (id, failed) in _unwilling)
        {
            if (failed.Next < Environment.TickCount64 - 60_000)
            {
                _unwilling.TryRemove(id, out _);
            }
        }
    }

    [LoggerMessage(401, LogLevel.Debug, "The sweep found {Due} due timers, {Letters} with letters, {Orphans} of dead silos, {Fresh} new.")]
    private partial void LogFound(int due, int letters, int orphans, int fresh);

    [LoggerMessage(402, LogLevel.Warning, "The sweep failed {Failures} time(s) in a row; it goes on.")]
    private partial void LogSweepFailed(int failures, Exception error);

    [LoggerMessage(404, LogLevel.Warning,
        "Silo {Silo} ({Address}) has not renewed its lease, and {Time} after it expired it is declared dead: it cannot reach Postgres, or "
        + "is gone.")]
    private partial void LogExpired(Guid silo, string address, TimeSpan time);

    [LoggerMessage(406, LogLevel.Warning, "The lease of this silo could not be renewed now: {Reason}")]
    private partial void LogLeaseNotRenewed(string reason);

    [LoggerMessage(405, LogLevel.Warning, "Silo {Silo} could not be declared dead now: {Reason}")]
    private partial void LogBuryFailed(Guid silo, string reason);

    [LoggerMessage(EventId = 403, Message = "Workflow '{Id}' could not be woken, {Times} time(s) by now ({Reason}); it is found again.")]
    private partial void LogWakeFailed(LogLevel level, WorkflowId id, int times, string reason);
}

/// <param name="Interval">Between two sweeps.</param>
/// <param name="Lease">How long this silo counts as alive after a sweep.</param>
/// <param name="LookAhead">Timers due within this time are brought to memory.</param>
internal sealed record SweepSettings(TimeSpan Interval, TimeSpan Lease, TimeSpan LookAhead)
{
    /// <summary>How long an expired lease of another silo is watched before that is declared dead.</summary>
    public TimeSpan BuryAfter { get; init; } = TimeSpan.FromSeconds(30);
}
