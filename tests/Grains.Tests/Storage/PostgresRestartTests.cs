using System.Diagnostics;
using Actors.Postgres;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>Postgres stops, or is killed, under running workflows and comes back: everything goes on by itself.</summary>
[OnlyInAll]
public sealed class PostgresRestartTests : IAsyncLifetime
{
    private readonly OwnPostgres _own = new();
    private PostgresServer _server = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await _own.StartAsync(cancellation: Cancel);
        await using var source = NpgsqlDataSource.Create(_server.ConnectionString);
        await TestSchema.MigrateAsync(source, Cancel);
        await Store.ExecuteAsync(source, "create table business (note text)");
    }

    public ValueTask DisposeAsync() => _own.DisposeAsync();

    [Fact]
    public async Task Workflows_go_on_by_themselves_after_Postgres_was_stopped_and_killed()
    {
        const int Runs = 100;
        var stepped = new SemaphoreSlim(0);
        await using var engine = await TestEngine.StartAsync(_server.ConnectionString, builder => builder.AddWorkflow<Alternating>());
        engine.Probe.After = name =>
        {
            stepped.Release();
            return Task.CompletedTask;
        };
        var runs = Task.WhenAll(Enumerable.Range(0, Runs).Select(
            i => engine.RunAsync<string, int>($"r{i}", "Alternating", $"r{i}", patience: TimeSpan.FromMinutes(5))));

        await CommitsAsync(stepped, 20);
        await _own.StopAsync(Cancel);
        Assert.Equal(_server, await _own.StartAsync(cancellation: Cancel));
        await CommitsAsync(stepped, 20);
        using (var postmaster = Process.GetProcessById(
            int.Parse(File.ReadLines(Path.Combine(_server.Folder!, "data", "postmaster.pid")).First())))
        {
            postmaster.Kill();
            await postmaster.WaitForExitAsync(Cancel);
        }

        Assert.Equal(_server, await _own.StartAsync(cancellation: Cancel));
        Assert.All(await runs.WaitAsync(TimeSpan.FromSeconds(60), Cancel), result => Assert.Equal(10, result));
        await using var source = NpgsqlDataSource.Create(_server.ConnectionString);
        Assert.Equal(Runs * 10L, await Store.ScalarAsync<long>(source, "select count(distinct note) from business"));
        Assert.Equal(Runs * 10L, await Store.ScalarAsync<long>(source, "select count(*) from business"));
        Assert.Equal(0L, await Store.ScalarAsync<long>(source, "select count(*) from actors.runs where status <> 1"));
    }

    private static async Task CommitsAsync(SemaphoreSlim stepped, int count)
    {
        for (var i = 0; i < count; i++)
        {
            Assert.True(await stepped.WaitAsync(TimeSpan.FromSeconds(30), Cancel), "No statement came through.");
        }
    }
}

public sealed class Alternating : Workflow<string, int>
{
    protected override async Task<int> RunAsync(string input)
    {
        var done = 0;
        for (var i = 0; i < 10; i++)
        {
            var note = $"{input} {i}";
            done += await Transaction("insert", async tx =>
            {
                await using var command = new NpgsqlCommand(
                    "insert into business values ($1)", tx.Connection) { Parameters = { new() { Value = note } } };
                return await command.ExecuteNonQueryAsync(tx.Cancellation);
            });
            await Step("rest", _ => Task.FromResult(i));
        }

        return done;
    }
}
