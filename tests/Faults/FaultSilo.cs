using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Actors.Cluster;
using Actors.Execution;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans.Configuration;

namespace Actors.Faults;

/// <summary>A silo of the campaign, as a process.</summary>
internal static class FaultSilo
{
    /// <summary>An order on the standard input, with milliseconds behind it.</summary>
    public const string TakeThreads = "take threads";

    /// <summary>An order, with milliseconds behind it.</summary>
    public const string TakeMemory = "take memory";

    /// <summary>An order, with the seconds that the silo's clock is ahead from now on.</summary>
    public const string SetClock = "set clock";

    /// <summary>An order, with a number of workflows of other silos to bring to memory here, unasked.</summary>
    public const string Activate = "activate";

    /// <summary>An order, with the number of a round of <see cref="ScopedCallers"/>.</summary>
    public const string CallInScopes = "call in scopes";

    /// <summary>Bytes of payload that its silos take.</summary>
    public const int PayloadSizeMax = 64 * 1024;

    /// <summary>Entries in a commit.</summary>
    public const int GroupSizeMax = 4;

    private static readonly ShiftedClock Clock = new();
    private static readonly SemaphoreSlim OneOrder = new(1, 1);

    /// <param name="siloPort">As other silos are told; it listens on <paramref name="siloListens"/>. The same for the gateway.</param>
    public static async Task<int> RunAsync(
        string name, int siloPort, int siloListens, int gatewayPort, int gatewayListens, int sinkPort, int webhookPort)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders().AddSimpleConsole(
            console => (console.SingleLine, console.TimestampFormat) = (true, "HH:mm:ss.fff "));
        builder.Logging.SetMinimumLevel(LogLevel.Information).AddFilter("Orleans", LogLevel.Warning).AddFilter(
            "Microsoft", LogLevel.Warning).AddFilter("Polly", LogLevel.Warning);
        builder.Services.AddSingleton(new World(sinkPort));
        builder.Services.AddSingleton<TimeProvider>(new ClusterClock(Clock)); // The engine's and Orleans'.
        builder.AddActors(Environment.GetEnvironmentVariable(Rig.ConnectionVariable)!, actors =>
        {
            actors.AddWorkflow<Bank>();
            actors.AddWorkflow<Beat>();
            actors.AddWorkflow<Misdeed>();
            actors.AddWorkflow<Bulky>();
            actors.Outbox.Add("outside", _ => new EffectSinkInBatches(sinkPort), "moved");
            actors.Outbox.Add("web", new WebhookSink(Webhook(webhookPort)), "moved");
            (actors.OutboxOptions.BackOffFirst, actors.OutboxOptions.BackOffMax, actors.OutboxOptions.AttemptsMax) = (
                TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(1), 1000);
            (actors.Cluster.SiloName, actors.Cluster.Membership) = (
                name, Enum.Parse<MembershipProfile>(
                Environment.GetEnvironmentVariable(Rig.ProfileVariable) ?? nameof(MembershipProfile.Tight)));
            (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = (siloPort, gatewayPort);
            actors.Execution.ReleaseWait = TimeSpan.FromSeconds(1);
            (actors.Execution.PayloadSizeMax, actors.Execution.GroupSizeMax) = (PayloadSizeMax, GroupSizeMax);
            actors.Execution.KeepEndedFor = Environment.GetEnvironmentVariable(Rig.KeepVariable) is { } seconds
                ? TimeSpan.FromSeconds(int.Parse(seconds, CultureInfo.InvariantCulture)) : null;
        });
        builder.Services.PostConfigure<EndpointOptions>(o =>
        {
            o.SiloListeningEndpoint = new IPEndPoint(IPAddress.Loopback, siloListens);
            o.GatewayListeningEndpoint = new IPEndPoint(IPAddress.Loopback, gatewayListens);
        });
        using var host = builder.Build();
        var engine = host.Services.GetRequiredService<WorkflowEngine>();
        Rig.EndWithParent(order => Obey(order, engine, host.Services, sinkPort)); // Also while it waits for Postgres.
        await host.StartAsync();
        Console.WriteLine("READY");
        await host.WaitForShutdownAsync();
        return Environment.ExitCode;
    }

    private static WebhookOptions Webhook(int port) => new()
    {
        Endpoint = new Uri($"http://127.0.0.1:{port}/"), Secret = WebhookReceiver.Secret, Timeout = WebhookReceiver.SenderTimeout,
    };

    private static void Obey(string order, WorkflowEngine engine, IServiceProvider services, int sinkPort)
    {
        var parts = order.Split(' ');
        var number = double.Parse(parts[^1], CultureInfo.InvariantCulture);
        switch (string.Join(' ', parts[..^1]))
        {
            case TakeThreads:
                var until = Environment.TickCount64 + (long)number; // Of all: what gets its thread later gives it back at once.
                for (var i = 0; i < 200; i++)
                {
                    ThreadPool.UnsafeQueueUserWorkItem(_ => Thread.Sleep((int)Math.Max(0, until - Environment.TickCount64)), null);
                }

                break;
            case TakeMemory:
                new Thread(() => FillMemory(TimeSpan.FromMilliseconds(number))).Start();
                break;
            case SetClock:
                Clock.Ahead = TimeSpan.FromSeconds(number);
                break;
            case Activate:
                _ = ActivateAsync(engine, (int)number);
                break;
            case CallInScopes:
                _ = ScopedCallers.CallAsync(services.GetRequiredService<IWorkflowClient>(), (int)number, sinkPort);
                break;
        }
    }

    /// <summary>Takes what the heap's limit leaves, and each piece that comes free meanwhile.</summary>
    private static void FillMemory(TimeSpan duration)
    {
        var taken = new List<byte[]>(1_000_000);
        for (var (watch, size) = (Stopwatch.StartNew(), 1 << 20); watch.Elapsed < duration;)
        {
            try
            {
                taken.Add(GC.AllocateUninitializedArray<byte>(size));
            }
            catch (OutOfMemoryException)
            {
                size = Math.Max(1 << 10, size / 2);
                Thread.Sleep(1);
            }
        }

        taken.Clear();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive);
    }

    private static async Task ActivateAsync(WorkflowEngine engine, int count)
    {
        await OneOrder.WaitAsync();
        var ask = engine.AskOwner;
        engine.AskOwner = null; // As if the owner could not be reached: it goes on with the workflow, and this silo takes it.
        try
        {
            await using var command = engine.Context.Database.Engine.CreateCommand(
                "select id from actors.runs where status = 0 and owner <> $1 order by random() limit $2");
            command.Parameters.Add(new NpgsqlParameter { Value = engine.Context.Database.Silo });
            command.Parameters.Add(new NpgsqlParameter { Value = count });
            var ids = new List<string>();
            await using (var reader = await command.ExecuteReaderAsync())
            {
                while (await reader.ReadAsync())
                {
                    ids.Add(reader.GetString(0));
                }
            }

            await Task.WhenAll(ids.Select(id => engine.OpenAsync(new WorkflowId(id))));
        }
        catch (Exception error) when (error is NpgsqlException or ActorsException)
        {
            Console.WriteLine($"Not activated: {error.Message}");
        }
        finally
        {
            engine.AskOwner = ask;
            OneOrder.Release();
        }
    }

    /// <summary>Tells the outside of many messages a call; what stands behind a failure of its key it does not tell.</summary>
    private sealed class EffectSinkInBatches(int port) : IOutboxSink
    {
        public int BatchSizeMax => 10;

        public async Task<IReadOnlyList<DeliveryOutcome>> DeliverAsync(
            IReadOnlyList<OutboxMessage> messages, CancellationToken cancellation)
        {
            var failed = new Dictionary<string, DeliveryOutcome>();
            var outcomes = new List<DeliveryOutcome>();
            foreach (var message in messages)
            {
                var lane = message.Key.Length > 0 ? message.Key : $"{message.Run}";
                if (!failed.ContainsKey(lane))
                {
                    try
                    {
                        var moved = JsonSerializer.Deserialize<Moved>(message.Json.Span, JsonSerializerOptions.Web)!;
                        await EffectSink.TellAsync(port, EffectSink.Line(moved, message.Id), cancellation);
                    }
                    catch (Exception error)
                    {
                        failed[lane] = DeliveryOutcome.Failed(error);
                    }
                }

                outcomes.Add(failed.GetValueOrDefault(lane, DeliveryOutcome.Delivered));
            }

            return outcomes;
        }
    }

    /// <summary>This machine's clock, but ahead or behind: its time of day, not its monotonic part.</summary>
    private sealed class ShiftedClock : TimeProvider
    {
        private long _ticks;

        public TimeSpan Ahead
        {
            set => Interlocked.Exchange(ref _ticks, value.Ticks);
        }

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddTicks(Interlocked.Read(ref _ticks));
    }
}
