using System.Collections.Concurrent;
using System.Diagnostics;
using Actors.Housekeeping;
using Actors.Storage;
using Microsoft.Extensions.Logging;

namespace Actors.Cluster;

/// <summary>
/// Acts the moment Orleans' membership changes: the lease of a silo that was declared dead ends, so that its workflows may be
/// claimed, and the ranges of partitions that are this silo's are brought to it.
/// </summary>
internal sealed partial class MembershipWatch(
    IClusterMembershipService members, ILocalSiloDetails here, IGrainFactory grains, EngineDatabase database, Sweeper sweeper,
    ILogger<MembershipWatch> log)
{
    private static readonly TimeSpan KeepInterval = TimeSpan.FromSeconds(10);

    // Of a call that does nothing but look. Orleans would wait for half a minute on one that a silo took with it.
    private static readonly TimeSpan CallLimit = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan BuryLimit = TimeSpan.FromSeconds(10);

    private readonly WakeSignal _changed = new();
    private readonly ConcurrentDictionary<SiloAddress, bool> _buried = [];

    public async Task RunAsync(CancellationToken stop)
    {
        var keeping = KeepAsync(stop);
        try
        {
            await foreach (var snapshot in members.MembershipUpdates.WithCancellation(stop))
            {
                await RetryAsync(() => BuryAsync(snapshot), stop);
                _changed.Give();
                sweeper.Wake();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The end.
        }

        await keeping;
    }

    /// <summary>After each change, beside the burials, which must not wait for it; and now and then without one: a range may have been lost
    /// to an error.</summary>
    private async Task KeepAsync(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                var changed = await _changed.TakeAsync(KeepInterval, stop);
                await EnsurePartitionsAsync(stop);
                if (changed)
                {
                    sweeper.Wake(); // In the ranges that came.
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The end.
        }
    }

    /// <summary>Whoever is dead in this membership holds no lease when this returns. Reminders ask for it too, in case that the watch was
    /// not told or has ended.</summary>
    public async Task BuryAsync(ClusterMembershipSnapshot snapshot)
    {
        var dead = snapshot.Members.Values.Where(m => m.Status == SiloStatus.Dead && !_buried.ContainsKey(m.SiloAddress)).Select(
            m => m.SiloAddress).ToList();
        foreach (var silo in await FindAsync(database, dead))
        {
            if (!silo.Dead && silo.Id != database.Silo)
            {
                LogBuried(silo.Id, silo.Address);
                await SiloRegistry.DeclareDeadAsync(database.Users, silo.Id);
            }
        }

        dead.ForEach(silo => _buried[silo] = true);
    }

    /// <summary>A silo whose lease expired: Orleans forgets it, so that its calls go elsewhere, and the database does, so that its runs may
    /// be claimed.</summary>
    public async Task BuryAsync(Guid silo, SiloAddress address)
    {
        // Of one that it does not know, Orleans would try for ever, and every other kill would wait behind that.
        if (members.CurrentSnapshot.Members.TryGetValue(address, out var member) && member.Status != SiloStatus.Dead)
        {
            await members.TryKill(address).WaitAsync(BuryLimit);
        }

        await SiloRegistry.DeclareDeadAsync(database.Engine, silo);
        sweeper.Wake();
    }

    /// <summary>Each silo brings those ranges home that are its own: whatever its size, a change costs the cluster one call a
    /// range.</summary>
    private Task EnsurePartitionsAsync(CancellationToken stop)
    {
        var now = members.CurrentSnapshot;
        return Task.WhenAll(Enumerable.Range(0, Partition.RangeCount)
            .Where(range => here.SiloAddress.Equals(SpreadOverSilosDirector.Home(now, range))).Select(range => EnsureAsync(range, stop)));
    }

    /// <summary>A range that has to move leaves first and comes with a later call; calls fail while silos differ about who is in the
    /// cluster.</summary>
    private async Task EnsureAsync(int range, CancellationToken stop)
    {
        var (what, reason) = ($"place partition range {range}", "it is moving");
        for (var (tries, watch) = (0, Stopwatch.StartNew()); tries < 20 && watch.Elapsed < KeepInterval; tries++)
        {
            try
            {
                if (await grains.GetGrain<IPartitionGrain>(range).EnsureAsync().WaitAsync(CallLimit, stop))
                {
                    database.Probe.Passed(what);
                    return;
                }
            }
            catch (Exception error) when (!stop.IsCancellationRequested)
            {
                reason = error.Message;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), stop);
        }

        database.Probe.Failed(what, reason);
        LogRangeFailed(range, reason);
    }

    /// <summary>The lease rows behind addresses of Orleans.</summary>
    internal static Task<List<SiloLease>> FindAsync(EngineDatabase database, IEnumerable<SiloAddress> addresses) =>
        SiloRegistry.FindAsync(database, [.. addresses.Select(address => address.ToParsableString())]);

    private async Task RetryAsync(Func<Task> action, CancellationToken stop)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                await action();
                return;
            }
            catch (Exception error) when (!stop.IsCancellationRequested)
            {
                LogRetry(tries, error.Message);
                await Task.Delay(PostgresFaults.Pause(tries), stop);
            }
        }
    }

    [LoggerMessage(611, LogLevel.Warning, "Silo {Silo} ({Address}) was declared dead; its workflows are taken over.")]
    private partial void LogBuried(Guid silo, string address);

    [LoggerMessage(612, LogLevel.Warning, "Partition range {Range} could not be placed now: {Reason}")]
    private partial void LogRangeFailed(int range, string reason);

    [LoggerMessage(613, LogLevel.Warning,
        "The silos that died cannot be declared dead now, {Tries} time(s) by now ({Reason}); trying again.")]
    private partial void LogRetry(int tries, string reason);
}
