using Actors.Execution;
using Actors.Outbox;
using Orleans.Concurrency;
using Orleans.Placement;
using Orleans.Runtime.Placement;

namespace Actors.Cluster;

/// <summary>A silo, addressed by name: the key is the silo's address as Orleans writes it.</summary>
[Alias("actors.ISiloGrain")]
internal interface ISiloGrain : IGrainWithStringKey
{
    /// <summary>Gives a workflow away, if the silo has it in memory. Returns when it has left.</summary>
    [Alias("release")]
    Task ReleaseAsync(string grainKey);

    /// <summary>Messages were committed elsewhere, whose lanes may be this silo's.</summary>
    [Alias("wake-relay"), OneWay]
    Task WakeRelayAsync();
}

[OnNamedSilo]
internal sealed class SiloGrain(WorkflowEngine engine, OutboxRelay relay) : Grain, ISiloGrain
{
    public Task ReleaseAsync(string grainKey) => engine.ReleaseAsync(WorkflowId.FromGrainKey(grainKey));

    public Task WakeRelayAsync()
    {
        relay.Wake();
        return Task.CompletedTask;
    }
}

/// <summary>Places a grain on the silo that its key names, and nowhere else.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class OnNamedSiloAttribute() : PlacementAttribute(new OnNamedSilo());

[Serializable, GenerateSerializer, Immutable, Alias("actors.OnNamedSilo")]
internal sealed class OnNamedSilo : PlacementStrategy;

internal sealed class OnNamedSiloDirector : IPlacementDirector
{
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var named = SiloAddress.FromParsableString(target.GrainIdentity.Key.ToString()!);
        return context.GetCompatibleSilos(target).Contains(named)
            ? Task.FromResult(named)
            : throw new WorkflowUnavailableException($"Silo {named} is not in the cluster.");
    }
}
