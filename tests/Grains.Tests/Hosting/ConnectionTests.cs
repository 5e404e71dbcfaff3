using Actors.Execution;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using Orleans.Configuration;
using Xunit;

namespace Actors.Grains.Tests.Hosting;

/// <summary>Every pool of connections that a host is given.</summary>
public sealed class ConnectionTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task No_connection_of_a_silo_or_a_client_takes_part_in_a_caller_s_transaction()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.AddActors(database.ConnectionString, _ => { });
        using var silo = builder.Build();
        var builderOfClient = Host.CreateApplicationBuilder();
        builderOfClient.AddActorsClient(database.ConnectionString);
        using var client = builderOfClient.Build();
        await using var engine = silo.Services.GetRequiredService<WorkflowEngine>();
        var sources = new[]
        {
            engine.Context.Database.Engine,
            engine.Context.Database.Patient,
            engine.Context.Database.Users,
            silo.Services.GetRequiredService<IOptions<AdoNetClusteringSiloOptions>>().Value.DataSource,
            silo.Services.GetRequiredService<IOptions<AdoNetReminderTableOptions>>().Value.DataSource,
            silo.Services.GetRequiredService<IOptionsMonitor<AdoNetGrainStorageOptions>>().Get("Default").DataSource,
            client.Services.GetRequiredService<IOptions<AdoNetClusteringClientOptions>>().Value.DataSource,
        };
        Assert.All(sources, source => Assert.False(new NpgsqlConnectionStringBuilder(source!.ConnectionString).Enlist));
    }
}
