using Microsoft.Extensions.DependencyInjection;
using Orleans.TestingHost;

namespace Actors.Grains.Tests.Cluster;

/// <summary>
/// Silos as <c>AddActors</c> makes them and a client, in this process and on a real Postgres. Orleans' test cluster takes the place of
/// sockets, membership and directory: for tests in which no process dies.
/// </summary>
internal sealed class InProcessCluster : IAsyncDisposable
{
    private readonly InProcessTestCluster _cluster;

    private InProcessCluster(InProcessTestCluster cluster) => _cluster = cluster;

    public IWorkflowClient Client => _cluster.Client.ServiceProvider.GetRequiredService<IWorkflowClient>();

    public IGrainFactory Grains => _cluster.Client;

    public static async Task<InProcessCluster> StartAsync(string connectionString, short silos, Action<ActorsBuilder> configure)
    {
        var builder = new InProcessTestClusterBuilder(silos);
        builder.Options.ConfigureFileLogging = false;
        builder.ConfigureSiloHost((_, host) => host.AddActors(connectionString, configure));
        builder.ConfigureClientHost(host => host.AddActorsClient(connectionString));
        var cluster = new InProcessCluster(builder.Build());
        await cluster._cluster.DeployAsync();
        return cluster;
    }

    /// <summary>So many more silos, one after the other.</summary>
    public async Task AddSilosAsync(int count)
    {
        for (var i = 0; i < count; i++)
        {
            await _cluster.StartAdditionalSiloAsync();
        }
    }

    /// <summary>As if its process had died.</summary>
    public Task KillAsync(int number) => _cluster.KillSiloAsync(_cluster.Silos[number]);

    public int SiloCount => _cluster.Silos.Count;

    public IServiceProvider Silo(int number) => _cluster.Silos[number].ServiceProvider;

    /// <summary>The grain's activation is gone when this returns.</summary>
    public Task DeactivateAsync(IAddressable grain) => _cluster.DeactivateAsync(grain.GetGrainId());

    public async ValueTask DisposeAsync()
    {
        await _cluster.StopAllSilosAsync();
        await _cluster.DisposeAsync();
    }
}
