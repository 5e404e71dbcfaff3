using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;

namespace Actors.Processes.Cluster;

/// <summary>Silo processes and an outside client on a database of their own; all are ended with the test.</summary>
internal sealed class ClusterRig : IAsyncDisposable
{
    private readonly List<SiloProcess> _silos = [];
    private IHost? _client;

    private ClusterRig(TestDatabase database) => Database = database;

    public TestDatabase Database { get; }

    public IReadOnlyList<SiloProcess> Silos => _silos;

    public IWorkflowClient Workflows => _client!.Services.GetRequiredService<IWorkflowClient>();

    public IClusterClient Orleans => _client!.Services.GetRequiredService<IClusterClient>();

    /// <param name="through">From a silo's number and the connection string of the database to that of a proxy before it.</param>
    public static async Task<ClusterRig> StartAsync(int silos, int heapLimitMiB = 0, Func<int, string, string>? through = null)
    {
        var rig = new ClusterRig(await TestDatabase.CreateAsync());
        await rig.ExecuteAsync(
            """
            create table accounts (id int primary key, balance int not null);
            insert into accounts select n, 1000 from generate_series(0, 9) n;
            create table transfers (workflow text, number int, primary key (workflow, number));
            create table held (workflow text primary key, pid int);
            """);
        try
        {
            await rig.AddSilosAsync(silos, heapLimitMiB, through: through);
            await rig.ConnectAsync();
            return rig;
        }
        catch
        {
            await rig.DisposeAsync();
            throw;
        }
    }

    public async Task AddSilosAsync(int count, int heapLimitMiB = 0, bool watch = true, Func<int, string, string>? through = null)
    {
        var server = Database.ConnectionString;
        var added = Enumerable.Range(_silos.Count, count).Select(number =>
            SiloProcess.Begin(through?.Invoke(number, server) ?? server, Database.Name, $"silo-{number}", heapLimitMiB, watch)).ToList();
        _silos.AddRange(added);
        await Task.WhenAll(added.Select(silo => silo.ReadyAsync()));
    }

    /// <summary>Starts the processes that have ended again, all at once, on their ports.</summary>
    public async Task RestartAsync()
    {
        for (var i = 0; i < _silos.Count; i++)
        {
            if (_silos[i].HasExited)
            {
                _silos[i] = _silos[i].Again();
            }
        }

        await Task.WhenAll(_silos.Select(silo => silo.ReadyAsync()));
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Database.DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = Database.DataSource.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Looks at the database until the query gives true: for what only the database shows. The time-out names the query.</summary>
    public async Task UntilAsync(string sql, TimeSpan? limit = null)
    {
        using var timeout = new CancellationTokenSource(limit ?? TimeSpan.FromSeconds(60));
        while (!await ScalarAsync<bool>(sql))
        {
            if (timeout.IsCancellationRequested)
            {
                throw new TimeoutException($"Never true: {sql}\n{string.Join("\n---\n", _silos.Select(s => s.Output))}");
            }

            await Task.Delay(20, CancellationToken.None);
        }
    }

    /// <summary>The process in whose memory a workflow is.</summary>
    public async Task<SiloProcess> OwnerOfAsync(string id)
    {
        var name = await ScalarAsync<string>(
            $"select s.name from actors.runs w join actors.silos s on s.id = w.owner where w.id = '{id}'");
        return _silos[int.Parse(name["silo-".Length..], System.Globalization.CultureInfo.InvariantCulture)];
    }

    public async ValueTask DisposeAsync()
    {
        if (_client is not null)
        {
            await _client.StopAsync();
            _client.Dispose();
        }

        foreach (var silo in _silos)
        {
            TestContext.Current.SendDiagnosticMessage($"Silo {silo.ProcessId}:\n{silo.Output}");
            await silo.DisposeAsync();
        }

        await Database.DisposeAsync();
    }

    private async Task ConnectAsync()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Critical);
        builder.AddActorsClient(
            Database.ConnectionString, o => (o.ClusterId, o.ResponseTimeout) = (Database.Name, TimeSpan.FromSeconds(5)));
        _client = builder.Build();
        await _client.StartAsync();
    }
}
