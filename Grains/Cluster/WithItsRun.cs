using Actors.Execution;
using Actors.Storage;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Placement;
using Orleans.Runtime.Placement;

namespace Actors.Cluster;

/// <summary>Places a workflow's grain in the silo that has its run in memory; where none has it, here, unless others have more room, and
/// only where its code is.</summary>
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
        var able = silos.Length > 1 ? await WhereAsync(target.GrainIdentity) : [];
        SiloAddress[] home = [.. silos.Where(silo => able.Contains(silo.ToParsableString()))];
        if (home is [var only])
        {
            return only;
        }

        var chosen = await byRoom.OnAddActivation(_byRoom, target, context);
        if (home.Length > 0 && !home.Contains(chosen))
        {
            return home[Random.Shared.Next(home.Length)];
        }

        starts.Placed(chosen.Equals(context.LocalSilo));
        return chosen;
    }

    /// <summary>The address of the silo that has the run in memory, or of those that have its code; none where there is no run yet, and when
    /// Postgres cannot tell now: a grain in another silo asks for the run.</summary>
    private async Task<HashSet<string>> WhereAsync(GrainId grain)
    {
        try
        {
            return await engine.Context.Claims.ReadRunAsync(WorkflowId.FromGrainKey(grain.Key.ToString()!)) switch
            {
                { OwnerAddress: { } address, OwnerDead: false } => [address],
                { HasEnded: false, Code: var code } => await engine.Context.Runs.FindSilosAsync(code),
                _ => [],
            };
        }
        catch (Exception error) when (error is ActorsException || PostgresFaults.IsOfPostgres(error))
        {
            return [];
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
