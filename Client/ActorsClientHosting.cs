using System.ComponentModel.DataAnnotations;
using Actors.Calling;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Configuration;

namespace Actors;

/// <summary>How a client application finds the silos.</summary>
public sealed class ActorsClientOptions
{
    /// <summary>The silos' cluster id. 1 to 100 characters. Default <c>actors</c>.</summary>
    [Name(100)]
    public string ClusterId { get; set; } = "actors";

    /// <summary>After this a call that got no answer fails with <see cref="WorkflowUnavailableException"/>; a wait for a result goes
    /// on.</summary>
    /// <value>1 s to 5 minutes. Default 10 s.</value>
    [Range(typeof(TimeSpan), "00:00:01", "00:05:00")]
    public TimeSpan ResponseTimeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The silos' codec. Default: none.</summary>
    public IPayloadCodec? Codec { get; set; }
}

/// <summary>Lets an application outside the cluster call workflows.</summary>
public static class ActorsClientHosting
{
    /// <summary>Adds <see cref="IWorkflowClient"/> over a connection to the silos, which it finds in Postgres. The host's start waits until
    /// a silo answers, and ends with <see cref="DatabaseAccessException"/> where Postgres does not let it in.</summary>
    /// <param name="connectionString">Npgsql connection string of the silos' database; the client reads the list of silos there and nothing
    /// else.</param>
    /// <exception cref="ArgumentException">The connection string is empty, or names no server.</exception>
    /// <exception cref="ValidationException">An option is outside its bounds; the message names option and bound.</exception>
    public static IHostApplicationBuilder AddActorsClient(
        this IHostApplicationBuilder builder, string connectionString, Action<ActorsClientOptions>? configure = null)
    {
        ConnectionText.Checked(connectionString);
        var options = new ActorsClientOptions();
        configure?.Invoke(options);
        Validator.ValidateObject(options, new ValidationContext(options), validateAllProperties: true);
        var given = new NpgsqlConnectionStringBuilder(connectionString);
        var source = new NpgsqlDataSourceBuilder(new NpgsqlConnectionStringBuilder(connectionString)
        {
            SearchPath = "actors", MinPoolSize = Math.Min(given.MinPoolSize, 4), MaxPoolSize = 4, ApplicationName = "actors client",
            Enlist = false,
        }.ConnectionString).ConfigureTypeLoading(types => types.EnableTypeLoading(false)).Build();
        builder.UseOrleansClient(client =>
        {
            client.Services.Configure<ClusterOptions>(o => (o.ClusterId, o.ServiceId) = (options.ClusterId, options.ClusterId));
            client.Services.Configure<ClientMessagingOptions>(o => o.ResponseTimeout = options.ResponseTimeout);
            client.Services.Configure<GatewayOptions>(o => o.GatewayListRefreshPeriod = TimeSpan.FromSeconds(5));
            client.UseAdoNetClustering(o => (o.Invariant, o.DataSource) = ("Npgsql", source));
            client.Services.AddSingleton<IClientConnectionRetryFilter>(provider => new RetryUntilStopped(
                given, provider.GetRequiredService<ILogger<RetryUntilStopped>>()));
        });
        builder.Services.AddSingleton(new PayloadSerializer(options.Codec));
        builder.Services.AddSingleton<IWorkflowClient>(provider =>
            new WorkflowClient(provider.GetRequiredService<IClusterClient>(), provider.GetRequiredService<PayloadSerializer>(),
                options.ResponseTimeout / 2)
            {
                Route = new GatewayRoute(provider.GetRequiredService<IClusterClient>()),
            });
        return builder;
    }
}
