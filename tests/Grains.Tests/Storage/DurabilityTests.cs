using Actors.Execution;
using Actors.Grains.Tests.Execution;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Npgsql;
using Orleans.Configuration;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>Whatever people set for their role or database: what is acknowledged is on the disk of Postgres.</summary>
[EachPostgres]
public sealed class DurabilityTests : IAsyncLifetime
{
    private readonly TestDatabase _database = new();
    private readonly string _role = $"careless_{Guid.NewGuid():n}";

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        await _database.ExecuteAsync($"""
            create role {_role} superuser login password 'careless';
            create table public.seen (at text, level text);
            create function see() returns trigger language plpgsql as $$ begin insert into public.seen values (new.name, current_setting('synchronous_commit')); return null; end $$;
            create constraint trigger see after insert on actors.journal deferrable initially deferred for each row execute function see()
            """);
    }

    public async ValueTask DisposeAsync()
    {
        await _database.ExecuteAsync($"drop role {_role}");
        await _database.DisposeAsync();
    }

    [Theory]
    [InlineData("role {0}", "off", "on")]
    [InlineData("role {0}", "local", "on")]
    [InlineData("role {0}", "remote_write", "on")]
    [InlineData("role {0}", "remote_apply", "remote_apply")]
    [InlineData("database {1}", "off", "on")]
    public async Task Every_commit_that_is_acknowledged_waits_for_the_disk(string whose, string set, string expected)
    {
        await _database.ExecuteAsync($"alter {string.Format(null, whose, _role, _database.Name)} set synchronous_commit = {set}");
        var connectionString = new NpgsqlConnectionStringBuilder(
            _database.ConnectionString) { Username = _role, Password = "careless" }.ConnectionString;
        await using (var engine = await StartAsync(connectionString, body: null))
        {
            await Task.WhenAll(Enumerable.Range(0, 40).Select(i => engine.RunAsync($"run-{i}")));
        }

        Assert.Equal([expected], await SeenAsync());
        await using var silo = Silo(connectionString);
        foreach (var source in Acknowledging(silo.Services))
        {
            for (var uses = 0; uses < 2; uses++)
            {
                await using var show = source.CreateCommand("show synchronous_commit");
                Assert.Equal(expected, await show.ExecuteScalarAsync(TestContext.Current.CancellationToken));
            }
        }
    }

    [Theory]
    [InlineData("set local synchronous_commit = off")]
    [InlineData("set synchronous_commit = off")]
    public async Task A_body_cannot_lower_what_its_commit_waits_for(string body)
    {
        await using var engine = await StartAsync(_database.ConnectionString, body);
        await engine.RunAsync("lowers");
        await engine.RunAsync("lowers again"); // On the same connection.
        Assert.Equal(["on"], await SeenAsync());
    }

    [Fact]
    public async Task A_deferred_trigger_cannot_lower_it_either()
    {
        await _database.ExecuteAsync("""
            create table public.lowering (n int);
            create function lower_it() returns trigger language plpgsql as $$ begin perform set_config('synchronous_commit', 'off', true); return null; end $$;
            create constraint trigger lower_it after insert on public.lowering deferrable initially deferred for each row execute function lower_it();
            """);
        await using var engine = await StartAsync(_database.ConnectionString, "insert into public.lowering values (1)");
        await engine.RunAsync("lowers late");
        Assert.Equal(["on"], await SeenAsync());
    }

    private static IEnumerable<NpgsqlDataSource> Acknowledging(IServiceProvider services)
    {
        var database = services.GetRequiredService<WorkflowEngine>().Context.Database;
        return
        [
            database.Engine,
            database.Patient,
            (NpgsqlDataSource)services.GetRequiredService<IOptions<AdoNetClusteringSiloOptions>>().Value.DataSource!,
            (NpgsqlDataSource)services.GetRequiredService<IOptions<AdoNetReminderTableOptions>>().Value.DataSource!,
            (NpgsqlDataSource)services.GetRequiredService<IOptionsMonitor<AdoNetGrainStorageOptions>>().Get("Default").DataSource!,
        ];
    }

    private static Built Silo(string connectionString)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.AddActors(connectionString, _ => { });
        return new Built(builder.Build());
    }

    private Task<TestEngine> StartAsync(string connectionString, string? body) => TestEngine.StartAsync(connectionString, builder =>
    {
        builder.Services.AddSingleton(new Script(async workflow =>
        {
            await workflow.Step("step", _ => Task.FromResult(1));
            return await workflow.Transaction("transaction", async tx =>
            {
                await using var command = new NpgsqlCommand(body ?? "select 1", tx.Connection);
                await command.ExecuteNonQueryAsync();
                return "done";
            });
        }));
        builder.AddWorkflow<Scripted>();
    });

    private async Task<List<string>> SeenAsync()
    {
        var levels = new List<string>();
        await using var command = _database.DataSource.CreateCommand("select distinct level from public.seen");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            levels.Add(reader.GetString(0));
        }

        return levels;
    }

    private sealed class Built(IHost host) : IAsyncDisposable
    {
        public IServiceProvider Services => host.Services;

        public async ValueTask DisposeAsync()
        {
            await host.Services.GetRequiredService<WorkflowEngine>().DisposeAsync();
            host.Dispose();
        }
    }
}
