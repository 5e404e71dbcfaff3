using Actors.Housekeeping;
using Actors.Storage;
using Orleans.Placement;
using Orleans.Runtime.Placement;

namespace Actors.Cluster;

/// <summary>Keeps one range of partitions assigned to one silo; the silo's sweeper and relay do the work.</summary>
[Alias("actors.IPartitionGrain")]
internal interface IPartitionGrain : IGrainWithIntegerKey
{
    /// <summary>Activates the grain where it belongs. False: it was elsewhere and is on its way, ask again.</summary>
    [Alias("ensure")]
    Task<bool> EnsureAsync();
}

[KeepAlive, SpreadOverSilos]
internal sealed partial class PartitionGrain(
    PartitionSet partitions,
    IClusterMembershipService members,
    MembershipWatch watch,
    EngineDatabase database,
    ILocalSiloDetails here,
    Microsoft.Extensions.Logging.ILogger<PartitionGrain> log)
    : Grain, IPartitionGrain, IRemindable
{
    // A minute is the finest period: the net under the membership watch, which acts at once.
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private bool _reminded;

    private int Range => (int)this.GetPrimaryKeyLong();

    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        partitions.Hold(Range, this);
        LogHeld(Range);
        return Task.CompletedTask;
    }

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        partitions.Release(Range, this);
        LogReleased(Range, reason.ToString());
        return Task.CompletedTask;
    }

    public async Task<bool> EnsureAsync()
    {
        if (SpreadOverSilosDirector.Home(members.CurrentSnapshot, Range) is { } home && !home.Equals(here.SiloAddress))
        {
            // Not DeactivateOnIdle: whoever still has this silo in its directory cache would bring the grain back here with its next call,
            // for ever.
            RequestContext.Set(IPlacementDirector.PlacementHintKey, home);
            MigrateOnIdle();
            return false;
        }

        partitions.Hold(Range, this);
        if (!_reminded)
        {
            try
            {
                await this.RegisterOrUpdateReminder("keep", Period, Period);
                _reminded = true;
                database.Probe.Passed("register reminder");
            }
            catch (Exception error)
            {
                database.Probe.Failed("register reminder", error.Message);
                LogReminderFailed(Range, error.Message); // The next call tries again.
            }
        }

        return true;
    }

    public async Task ReceiveReminder(string reminderName, TickStatus status)
    {
        await EnsureAsync();
        await watch.BuryAsync(members.CurrentSnapshot);
    }

    [Microsoft.Extensions.Logging.LoggerMessage(
        601, Microsoft.Extensions.Logging.LogLevel.Warning, "The reminder of partition range {Range} was not registered: {Reason}")]
    private partial void LogReminderFailed(int range, string reason);

    [Microsoft.Extensions.Logging.LoggerMessage(602, Microsoft.Extensions.Logging.LogLevel.Debug, "Partition range {Range} is here.")]
    private partial void LogHeld(int range);

    [Microsoft.Extensions.Logging.LoggerMessage(
        603, Microsoft.Extensions.Logging.LogLevel.Debug, "Partition range {Range} leaves: {Reason}")]
    private partial void LogReleased(int range, string reason);
}

/// <summary>Places range k of partitions on the k-th of the active silos in order of address, round and round: even, and the same in every
/// silo's eyes.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class SpreadOverSilosAttribute() : PlacementAttribute(new SpreadOverSilos());

[Serializable, GenerateSerializer, Immutable, Alias("actors.SpreadOverSilos")]
internal sealed class SpreadOverSilos : PlacementStrategy;

internal sealed class SpreadOverSilosDirector : IPlacementDirector
{
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var silos = context.GetCompatibleSilos(target);
        return Task.FromResult(
            IPlacementDirector.GetPlacementHint(target.RequestContextData, silos)
            ?? Choose(silos, (int)target.GrainIdentity.GetIntegerKey())
            ?? throw new WorkflowUnavailableException("No silo is active."));
    }

    /// <summary>Where the range belongs; null where no silo is active.</summary>
    public static SiloAddress? Home(ClusterMembershipSnapshot members, int range) => Choose(
        members.Members.Values.Where(member => member.Status == SiloStatus.Active).Select(member => member.SiloAddress), range);

    private static SiloAddress? Choose(IEnumerable<SiloAddress> silos, int range)
    {
        var ordered = silos.Order().ToList();
        return ordered.Count == 0 ? null : ordered[range % ordered.Count];
    }
}
