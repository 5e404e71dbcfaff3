using Actors.Execution;
using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Placement;
using Orleans.Runtime.Placement;

namespace Actors.Cluster;

/// <summary>Places a workflow's grain in the silo that has its run in memory; where none has it, here, unless others have more
/// room.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class WithItsRunAttribute() : PlacementAttribute(new WithItsRun());

[Serializable, GenerateSerializer, Immutable, Alias("actors.WithItsRun")]
internal sealed class WithItsRun : PlacementStrategy;

internal sealed class WithItsRunDirector(
    WorkflowEngine engine, StartsHere starts, [FromKeyedServices(typeof(ResourceOptimizedPlacement))] IPlacementDirector byRoom)
        : IPlacementDirector
{
    private readonly ResourceOptimizedPlacement _byRoom = new();

    public async Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var silos = context.GetCompatibleSilos(target);
        if (silos.Length > 1 && await OwnerAsync(target.GrainIdentity) is { } owner && silos.Contains(owner))
        {
            return owner;
        }

        var chosen = await byRoom.OnAddActivation(_byRoom, target, context);
        starts.Placed(chosen.Equals(context.LocalSilo));
        return chosen;
    }

    /// <summary>Null also when Postgres cannot tell now: a grain in another silo asks for the run.</summary>
    private async Task<SiloAddress?> OwnerAsync(GrainId grain)
    {
        try
        {
            var row = await engine.Context.Claims.ReadRunAsync(WorkflowId.FromGrainKey(grain.Key.ToString()!));
            return row is { OwnerAddress: { } address, OwnerDead: false } ? SiloAddress.FromParsableString(address) : null;
        }
        catch (Exception error) when (error is ActorsException || PostgresFaults.IsOfPostgres(error))
        {
            return null;
        }
    }
}

/// <summary>Whether a start stays in the silo where it is called without asking: as long as every sixteenth, which asks, and every other
/// grain of a run that is nowhere, is placed there.</summary>
internal sealed class StartsHere
{
    private const int AskEvery = 16;
    private volatile bool _here;
    private int _starts;

    public bool Next() => _here && Interlocked.Increment(ref _starts) % AskEvery != 0;

    public void Placed(bool here) => _here = here;
}
