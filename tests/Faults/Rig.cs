using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Actors.Postgres;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Actors.Faults;

/// <summary>A Postgres, three silos with a proxy each before it, an effect sink and an outside client: all processes of this campaign
/// alone.</summary>
internal sealed class Rig : IAsyncDisposable
{
    public const string ConnectionVariable = "ACTORS_FAULTS_DATABASE";
    public const int SiloCount = 3;

    /// <summary>For how many seconds silos keep what has ended; unset: for ever.</summary>
    public const string KeepVariable = "ACTORS_FAULTS_KEEP";

    /// <summary>The silos' membership profile; unset: tight.</summary>
    public const string ProfileVariable = "ACTORS_FAULTS_PROFILE";

    // So that a heap that is full is a fault and not the machine's end.
    public const string HeapLimit = "0x40000000";

    // How the last words of a process begin that did not mean to end: Orleans', the runtime's, of nobody who caught it, the engine's.
    private static readonly string[] Reasons = ["FATAL EXCEPTION", "Fatal error.", "Unhandled exception.", "The heap is full."];

    private readonly FileStream _alone;
    private readonly bool _smallDisk;
    private readonly List<SiloSlot> _silos = [];
    private readonly ConcurrentQueue<string> _crashes = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly int _sinkPort = LoopbackPort.Free();
    private FaultProxy? _front; // The rig's own way to Postgres, which nobody harms: it leads to whichever server there is.
    private ReadyProcess? _sink;
    private IHost? _client;
    private Task _supervisor = Task.CompletedTask;

    private readonly IReadOnlyDictionary<string, string> _siloEnvironment;

    private Rig(FileStream alone, PostgresServers servers, string folder, IReadOnlyDictionary<string, string> siloEnvironment,
        bool smallDisk) =>
        (_alone, Servers, Folder, _siloEnvironment, _smallDisk) = (alone, servers, folder, siloEnvironment, smallDisk);

    /// <summary>Logs of the processes, and what the outside world was told.</summary>
    public string Folder { get; }

    public string EffectsFile => Path.Combine(Folder, "effects");

    public string WebhooksFile => Path.Combine(Folder, "webhooks");

    /// <summary>A way that nobody harms, for checks and for the nemesis.</summary>
    public NpgsqlDataSource Database { get; private set; } = null!;

    public string ConnectionString { get; private set; } = "";

    /// <summary>False where retention takes what has ended.</summary>
    public bool KeepsAll => !_siloEnvironment.ContainsKey(KeepVariable);

    public IReadOnlyList<SiloSlot> Silos => _silos;

    /// <summary>Times that a silo was started again, whatever had ended it.</summary>
    public int Starts { get; private set; }

    /// <summary>Silos that ended as no fault explains.</summary>
    public IEnumerable<string> Crashes => _crashes;

    public IWorkflowClient Workflows => _client!.Services.GetRequiredService<IWorkflowClient>();

    /// <param name="siloEnvironment">What the silos find in their environment beside their connection string.</param>
    /// <param name="smallDisk">Postgres lies on a disk that can be filled.</param>
    /// <exception cref="NotSupportedException">A campaign is at work in this clone, whose server and logs this one would take.</exception>
    public static async Task<Rig> StartAsync(
        string root, IReadOnlyDictionary<string, string>? siloEnvironment = null, bool smallDisk = false)
    {
        var folder = Path.Combine(root, ".actors", "faults-run");
        Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
        var alone = FileLock.TryTake(folder + ".lock", FileShare.None)
            ?? throw new NotSupportedException("Another campaign of faults is at work in this clone. Let it end first.");
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        Directory.CreateDirectory(folder);
        var rig = new Rig(alone, new PostgresServers(PostgresSettings.FromEnvironment(root)), folder,
            siloEnvironment ?? new Dictionary<string, string>(), smallDisk);
        try
        {
            await rig.BeginAsync();
            return rig;
        }
        catch
        {
            await rig.DisposeAsync();
            throw;
        }
    }

    /// <summary>In a child: its input ends with the campaign, and so does the child, whatever ended the campaign.</summary>
    /// <param name="obey">Called with each line of the input.</param>
    public static void EndWithParent(Action<string>? obey = null) => new Thread(() =>
    {
        while (Console.In.ReadLine() is { } line)
        {
            obey?.Invoke(line);
        }

        Environment.Exit(1);
    })
    { IsBackground = true }.Start();

    public PostgresServers Servers { get; }

    public ReadyProcess Sink => _sink!;

    public WebhookReceiver Webhooks { get; private set; } = null!;

    public async Task StartSinkAsync()
    {
        _sink?.Dispose();
        _sink = Start(HeapLimit, "sink", null, "sink", EffectsFile, $"{_sinkPort}");
        await _sink.ReadyAsync();
    }

    /// <summary>A silo like slot number one, with its name, on other ports.</summary>
    public ReadyProcess StartTwin(SiloSlot of)
    {
        var (siloPort, gatewayPort) = (LoopbackPort.Free(), LoopbackPort.Free());
        return StartSilo(of.Name, of.Proxy, siloPort, siloPort, gatewayPort, gatewayPort);
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _supervisor;
        if (_client is not null)
        {
            await ((Task)_client.StopAsync(new CancellationTokenSource(TimeSpan.FromSeconds(5)).Token)).ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing);
            _client.Dispose();
        }

        _silos.ForEach(silo => silo.Dispose());
        _sink?.Dispose();
        Webhooks?.Dispose();
        if (Database is not null)
        {
            await Database.DisposeAsync();
        }

        _front?.Dispose();
        await Servers.DisposeAsync();
        await _alone.DisposeAsync();
    }

    private async Task BeginAsync()
    {
        var server = await Servers.BeginAsync(_smallDisk);
        await using (var admin = NpgsqlDataSource.Create(server))
        {
            foreach (var sql in new[] { "drop database if exists actors_faults with (force)", "create database actors_faults",
                "alter system set max_prepared_transactions = 5" })
            {
                await using var command = admin.CreateCommand(sql);
                await command.ExecuteNonQueryAsync();
            }
        }

        await Servers.StopAsync(); // For the setting.
        server = await Servers.StartAsync();
        _front = new FaultProxy(() => Servers.Port);
        var to = new NpgsqlConnectionStringBuilder(
            server) { Port = _front.Port, Database = "actors_faults", ApplicationName = "faults", CommandTimeout = 300,
            Options = "-c statement_timeout=0" };
        ConnectionString = to.ConnectionString;
        Database = NpgsqlDataSource.Create(ConnectionString);
        await ExecuteAsync($"""
            create table accounts (id int primary key, balance bigint not null, version bigint not null);
            insert into accounts select n, 1000, 0 from generate_series(0, {Bank.Accounts - 1}) n;
            create table moves (workflow text, number int);
            create table wakes (workflow text, number int, due timestamptz, woke timestamptz);
            create table states (workflow text, state text);
            create index on moves (workflow);
            create index on wakes (workflow);
            """);
        await StartSinkAsync();
        Webhooks = new WebhookReceiver(WebhooksFile, LoopbackPort.Free());
        for (var number = 0; number < SiloCount; number++)
        {
            var (name, siloPort, gatewayPort) = ($"silo-{number}", LoopbackPort.Free(), LoopbackPort.Free());
            var (proxy, between, gateway) = (
                new FaultProxy(() => Servers.Port), new FaultProxy(() => siloPort), new FaultProxy(() => gatewayPort));
            _silos.Add(new SiloSlot(
                name, proxy, between, gateway, heap => StartSilo(name, proxy, between.Port, siloPort, gateway.Port, gatewayPort, heap)));
            await _silos[0].Process.ReadyAsync(); // The first one makes the schema.
            if (number == 0)
            {
                await ExecuteAsync(Audit.Sql + Misdeed.Sql);
            }
        }

        await Task.WhenAll(_silos.Select(silo => silo.Process.ReadyAsync()));
        _supervisor = SuperviseAsync();
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        builder.AddActorsClient(to.ConnectionString, client => client.ResponseTimeout = TimeSpan.FromSeconds(5));
        _client = builder.Build();
        await _client.StartAsync();
    }

    /// <summary>Others reach it at the ports that it advertises; it listens on its own.</summary>
    private ReadyProcess StartSilo(
        string name, FaultProxy proxy, int siloPort, int siloListens, int gatewayPort, int gatewayListens, string heap = HeapLimit)
    {
        var to = new NpgsqlConnectionStringBuilder(
            Database.ConnectionString) { Password = Servers.Password, ApplicationName = null, CommandTimeout = 30, Options = null,
            Host = "127.0.0.1", Port = proxy.Port };
        return Start(heap, name, to.ConnectionString, "silo", name, $"{siloPort}", $"{siloListens}", $"{gatewayPort}", $"{gatewayListens}",
            $"{_sinkPort}", $"{Webhooks.Port}");
    }

    /// <summary>As Kubernetes does: a silo that ended is started again.</summary>
    private async Task SuperviseAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            foreach (var silo in _silos.Where(silo => !silo.IsHeldDown && silo.Process.HasExited))
            {
                Ended(silo);
                silo.Start();
            }

            await Task.Delay(300, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>The nemesis kills and terminates, who learns of its death ends, and so does who cannot join. Any other end is a crash, and
    /// forgiven only where memory was taken.</summary>
    private void Ended(SiloSlot silo)
    {
        Starts++;
        silo.Process.Kill(); // It has ended; now all that it said is in its file.
        if (silo.Process.ExitCode is not (0 or 1 or 128 + 9 or 128 + 15) and var code && silo.Process.WasReady)
        {
            // The file has the words of its predecessors too.
            var said = File.ReadLines(Path.Combine(Folder, $"{silo.Name}.log")).Reverse().TakeWhile(line => line != "READY");
            var reason = said.FirstOrDefault(line => Reasons.Any(line.StartsWith)) ?? "";
            if (!reason.Contains("I have been told I am dead", StringComparison.Ordinal))
            {
                Console.WriteLine($"           {silo.Name} ended with code {code}: {reason}");
                if (!silo.HasNoMemory)
                {
                    _crashes.Enqueue($"{silo.Name} with code {code} at {DateTime.UtcNow:HH:mm:ss}: {reason}");
                }
            }
        }
    }

    /// <summary>This program again, as another part.</summary>
    private ReadyProcess Start(string heap, string log, string? connectionString, params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, arguments);
        start.Environment[ConnectionVariable] = connectionString;
        start.Environment["DOTNET_GCHeapHardLimit"] = heap;
        foreach (var (name, value) in _siloEnvironment)
        {
            start.Environment[name] = value;
        }

        return new ReadyProcess(start, Path.Combine(Folder, $"{log}.log"));
    }
}

/// <summary>A place for a silo: its process comes and goes, its ports, its name and its way to Postgres stay.</summary>
internal sealed class SiloSlot : IDisposable
{
    private readonly Func<string, ReadyProcess> _start;

    public SiloSlot(string name, FaultProxy proxy, FaultProxy between, FaultProxy gateway, Func<string, ReadyProcess> start)
    {
        (Name, Proxy, Between, Gateway, _start) = (name, proxy, between, gateway, start);
        Process = start(HeapLimit);
    }

    public string Name { get; }

    /// <summary>Its way to Postgres.</summary>
    public FaultProxy Proxy { get; }

    /// <summary>The other silos' way to it.</summary>
    public FaultProxy Between { get; }

    /// <summary>Outside clients' way to it.</summary>
    public FaultProxy Gateway { get; }

    public ReadyProcess Process { get; private set; }

    /// <summary>The supervisor leaves it down.</summary>
    public volatile bool IsHeldDown;

    /// <summary>Bytes, in hexadecimal digits: of the processes that are started here from now on.</summary>
    public string HeapLimit { get; set; } = Rig.HeapLimit;

    /// <summary>Its process's memory was taken.</summary>
    public volatile bool HasNoMemory;

    /// <summary>The most memory that a process here had, in MiB.</summary>
    public long PeakMiB { get; private set; }

    public void Start()
    {
        Process.Dispose();
        HasNoMemory = false;
        Process = _start(HeapLimit);
    }

    public void Measure() => PeakMiB = Math.Max(PeakMiB, Process.HasExited ? 0 : Process.PeakMiB());

    public void Dispose()
    {
        Process.Dispose();
        Proxy.Dispose();
        Between.Dispose();
        Gateway.Dispose();
    }
}
