using System.Net;
using Actors.Postgres;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Configuration;
using Orleans.Runtime;

namespace Actors.Grains.Tests.Cluster;

/// <summary>A silo, or a client from outside, that has nothing but Orleans' AdoNet providers on one shared data source.</summary>
internal sealed class OrleansSilo : IAsyncDisposable
{
    private readonly IHost _host;

    private OrleansSilo(IHost host) => _host = host;

    public const string Deleting = "deleting";

    public const string Service = "orders";

    /// <summary>The data source that finds the providers' statements.</summary>
    public static NpgsqlDataSource DataSource(string connectionString) =>
        NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(connectionString) { SearchPath = "actors", MaxPoolSize = 10 });

    public static Task<OrleansSilo> StartAsync(NpgsqlDataSource dataSource, string cluster, CancellationToken cancellation)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.UseOrleans(silo => silo
            .Configure<ClusterOptions>(options => (options.ClusterId, options.ServiceId) = (cluster, Service))
            .Configure<ClusterMembershipOptions>(Tight)
            .ConfigureEndpoints(IPAddress.Loopback, LoopbackPort.Free(), LoopbackPort.Free())
            .UseAdoNetClustering(options => (options.Invariant, options.DataSource) = ("Npgsql", dataSource))
            .UseAdoNetReminderService(options => (options.Invariant, options.DataSource) = ("Npgsql", dataSource))
            .AddAdoNetGrainStorageAsDefault(options => (options.Invariant, options.DataSource) = ("Npgsql", dataSource))
            .AddAdoNetGrainStorage(Deleting, options =>
                (options.Invariant, options.DataSource, options.DeleteStateOnClear) = ("Npgsql", dataSource, true)));
        return StartAsync(builder.Build(), cancellation);
    }

    public static Task<OrleansSilo> ConnectAsync(NpgsqlDataSource dataSource, string cluster, CancellationToken cancellation)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.UseOrleansClient(client => client
            .Configure<ClusterOptions>(options => (options.ClusterId, options.ServiceId) = (cluster, Service))
            .UseAdoNetClustering(options => (options.Invariant, options.DataSource) = ("Npgsql", dataSource)));
        return StartAsync(builder.Build(), cancellation);
    }

    public IServiceProvider Services => _host.Services;

    public SiloAddress Address => Services.GetRequiredService<ILocalSiloDetails>().SiloAddress;

    /// <summary>Returns when this silo's view says that the other one has the status.</summary>
    public async Task SeesAsync(SiloAddress other, SiloStatus status, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        try
        {
            var membership = Services.GetRequiredService<IClusterMembershipService>();
            await foreach (var view in membership.MembershipUpdates.WithCancellation(limit.Token))
                if (view.Members.TryGetValue(other, out var member) && member.Status == status) return;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException($"{Address} did not see {other} become {status} within 60 s.");
        }
    }

    /// <summary>Stops gracefully first: Orleans ends the whole process when a running silo's services vanish.</summary>
    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }

    private static async Task<OrleansSilo> StartAsync(IHost host, CancellationToken cancellation)
    {
        await host.StartAsync(cancellation);
        return new OrleansSilo(host);
    }

    private static void Tight(ClusterMembershipOptions options)
    {
        options.ProbeTimeout = TimeSpan.FromSeconds(1);
        options.NumMissedProbesLimit = 2;
        options.TableRefreshTimeout = TimeSpan.FromSeconds(1);
        options.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(1);
    }
}
