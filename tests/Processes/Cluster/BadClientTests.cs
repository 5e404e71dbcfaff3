using System.Diagnostics;
using Actors.Postgres;
using Actors.Support;
using Actors.TestSilo;
using Actors.Wire;
using Xunit;

namespace Actors.Processes.Cluster;

/// <summary>What anybody may send to the doors of a silo: it lives on, serves, and takes no more memory for it. The seed is
/// printed.</summary>
public sealed class BadClientTests(ITestOutputHelper output)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Random_bytes_at_the_gateway_and_at_the_silo_port_harm_nobody()
    {
        await using var rig = await ClusterRig.StartAsync(2);
        var random = Seeded();
        var waiting = rig.Workflows.Get<IWaiting>("waits");
        await waiting.StartAsync(1, cancellation: Cancel);
        var before = rig.Silos[0].PeakMiB;
        var attacks = rig.Silos[0].Ports.Select(port => GarbageClients.AttackAsync(port, random, 600)).ToList();
        for (var i = 0; !Task.WhenAll(attacks).IsCompleted || i < 10; i++)
        {
            var handle = rig.Workflows.Get<ITransfers>($"meanwhile-{i}");
            await handle.StartAsync(1, cancellation: Cancel);
            Assert.Equal(1, await handle.ResultAsync().WaitAsync(TimeSpan.FromSeconds(30), Cancel));
        }

        await Task.WhenAll(attacks);
        await waiting.SignalAsync(w => w.Go(2));
        Assert.Equal(3, await waiting.ResultAsync().WaitAsync(TimeSpan.FromSeconds(30), Cancel));
        output.WriteLine($"most memory {before} MiB before, {rig.Silos[0].PeakMiB} MiB after");
        Assert.All(rig.Silos, silo => Assert.False(silo.HasExited, silo.Output));
        Assert.InRange(rig.Silos[0].PeakMiB, 0, before + 200);
        Assert.Equal(0, await rig.ScalarAsync<long>("select count(*) from actors.silos where dead_at is not null"));
    }

    [OnlyInAll]
    [Fact]
    public async Task A_payload_of_a_hundred_megabytes_is_refused_and_harms_nobody()
    {
        await using var rig = await ClusterRig.StartAsync(1);
        var waiting = rig.Workflows.Get<IWaiting>("waits");
        await waiting.StartAsync(1, cancellation: Cancel);
        var grain = rig.Orleans.GetGrain<IWorkflowGrain>("default/waits");
        foreach (var (megabytes, encoded, expected) in new[] { (90, false, nameof(PayloadTooLargeException)),
            (90, true, nameof(PayloadTooLargeException)), (110, false, nameof(TimeoutException)) })
        {
            var json = new byte[megabytes << 20];
            Array.Fill(json, (byte)' ');
            json[0] = (byte)'1';
            // Orleans itself drops what is over its own 100 MB, and the caller's time-out tells.
            var answer = await ErrorOfAsync(
                () => grain.CallAsync(new SignalCall("topic", true, new Payload(json, encoded), "m")).WaitAsync(
                TimeSpan.FromSeconds(30), Cancel));
            output.WriteLine($"{megabytes} MB, encoded {encoded}: {answer}, most memory {rig.Silos[0].PeakMiB} MiB");
            Assert.Equal(expected, answer);
        }

        // The client that sent it lost its connection, and repeats.
        Assert.Equal(3, await RepeatAsync(async () =>
        {
            await waiting.SignalAsync(w => w.Go(2), "go");
            return await waiting.ResultAsync();
        }));
        Assert.Equal(1, await rig.ScalarAsync<long>("select count(*) from actors.journal where message_id is not null"));
        Assert.InRange(rig.Silos[0].PeakMiB, 0, 1_000);
    }

    [Fact]
    public async Task Random_bytes_at_the_HTTP_door_harm_nobody()
    {
        await using var database = await TestDatabase.CreateAsync();
        var port = LoopbackPort.Free();
        var start = new ProcessStartInfo(BuiltProgram.Orders,
            ["silo", "--silo-port", $"{LoopbackPort.Free()}", "--gateway-port", $"{LoopbackPort.Free()}", "--http",
                $"http://127.0.0.1:{port}", "--cluster-id", database.Name]);
        (start.Environment["ACTORS_POSTGRES"], start.Environment["ORDERS_WEBHOOK_SECRET"]) = (
            database.ConnectionString, Convert.ToBase64String(new byte[32]));
        using var silo = new ReadyProcess(start);
        await silo.ReadyAsync();
        await GarbageClients.AttackAsync(port, Seeded(), 600);
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        Assert.Contains("silos alive          1", await http.GetStringAsync("/", Cancel), StringComparison.Ordinal);
        Assert.Equal("Healthy", await http.GetStringAsync("/health/ready", Cancel));
        Assert.InRange((int)(await http.GetAsync("/%00%0d%0a", Cancel)).StatusCode, 400, 499);
    }

    private static async Task<string> ErrorOfAsync(Func<Task<CallReply>> call)
    {
        try
        {
            return (await call()).Error?.Code ?? "taken";
        }
        catch (Exception error)
        {
            return error.GetType().Name;
        }
    }

    private static async Task<T> RepeatAsync<T>(Func<Task<T>> call)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                return await call().WaitAsync(TimeSpan.FromSeconds(30), Cancel);
            }
            catch (ActorsException error) when (error.IsTransient && watch.Elapsed < TimeSpan.FromSeconds(30))
            {
                await Task.Delay(50, Cancel);
            }
        }
    }

    private Random Seeded()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        return new Random(seed);
    }
}
