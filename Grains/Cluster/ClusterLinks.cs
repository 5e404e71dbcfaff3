using Actors.Execution;
using Actors.Outbox;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Cluster;

/// <summary>What the engine, which knows no cluster, asks of it and tells it: all of it tied here.</summary>
internal sealed class ClusterLinks(WorkflowEngine engine, OutboxRelay relay, RelayWakes others, IGrainFactory grains)
{
    /// <summary>Before the silo takes calls.</summary>
    public void Tie()
    {
        engine.AskOwner = AskOwnerAsync;
        engine.Context.Journal.OutboxWritten = OnOutboxWritten;
    }

    /// <summary>Has the workflow looked after: here, or where its run is.</summary>
    public async Task WakeAsync(WorkflowId id)
    {
        if (!await engine.WakeAsync(id))
        {
            await grains.GetGrain<IWorkflowGrain>(id.GrainKey).WakeAsync();
        }
    }

    private Task AskOwnerAsync(StoredRun run) => run.OwnerAddress is { } address
        ? grains.GetGrain<ISiloGrain>(address).ReleaseAsync(run.Id.GrainKey)
        : Task.CompletedTask;

    private void OnOutboxWritten()
    {
        relay.Wake();
        others.Wake();
    }
}
