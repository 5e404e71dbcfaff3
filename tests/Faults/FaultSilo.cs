using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;

namespace Actors.Faults;

/// <summary>A silo of the campaign, as a process.</summary>
internal static class FaultSilo
{
    /// <summary>An order on the standard input, with milliseconds behind it.</summary>
    public const string TakeThreads = "take threads";

    /// <param name="siloPort">As other silos are told; it listens on <paramref name="siloListens"/>. The same for the gateway.</param>
    public static async Task<int> RunAsync(string name, int siloPort, int siloListens, int gatewayPort, int gatewayListens, int sinkPort)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders().AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat) = (true, "HH:mm:ss.fff "));
        builder.Logging.SetMinimumLevel(LogLevel.Information).AddFilter("Orleans", LogLevel.Warning).AddFilter("Microsoft", LogLevel.Warning).AddFilter("Polly", LogLevel.Warning);
        builder.Services.AddSingleton(new World(sinkPort));
        builder.AddActors(Environment.GetEnvironmentVariable(Rig.ConnectionVariable)!, actors =>
        {
            actors.AddWorkflow<Bank>();
            actors.Outbox.Add("outside", new HandlerSink((message, cancellation) => DeliverAsync(sinkPort, message, cancellation)), "moved");
            (actors.OutboxOptions.BackOffFirst, actors.OutboxOptions.BackOffMax, actors.OutboxOptions.AttemptsMax) = (TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(1), 1000);
            (actors.Cluster.SiloName, actors.Cluster.Membership) = (name, MembershipProfile.Tight);
            (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = (siloPort, gatewayPort);
            actors.Execution.ReleaseWait = TimeSpan.FromSeconds(1);
            actors.Execution.KeepEndedFor = Environment.GetEnvironmentVariable(Rig.KeepVariable) is { } seconds ? TimeSpan.FromSeconds(int.Parse(seconds, CultureInfo.InvariantCulture)) : null;
        });
        builder.Services.PostConfigure<EndpointOptions>(o =>
        {
            o.SiloListeningEndpoint = new IPEndPoint(IPAddress.Loopback, siloListens);
            o.GatewayListeningEndpoint = new IPEndPoint(IPAddress.Loopback, gatewayListens);
        });
        using var host = builder.Build();
        await host.StartAsync();
        Console.WriteLine("READY");
        Rig.EndWithParent(Obey);
        await host.WaitForShutdownAsync();
        return Environment.ExitCode;
    }

    private static void Obey(string order)
    {
        if (order.StartsWith(TakeThreads, StringComparison.Ordinal))
        {
            var duration = int.Parse(order[TakeThreads.Length..], CultureInfo.InvariantCulture);
            for (var i = 0; i < 200; i++)
            {
                ThreadPool.UnsafeQueueUserWorkItem(_ => Thread.Sleep(duration), null);
            }
        }
    }

    private static Task DeliverAsync(int sinkPort, OutboxMessage message, CancellationToken cancellation)
    {
        var moved = JsonSerializer.Deserialize<Moved>(message.Json.Span, JsonSerializerOptions.Web)!;
        return EffectSink.TellAsync(
            sinkPort, string.Create(CultureInfo.InvariantCulture, $"message {moved.Account} {moved.Version} {moved.Nonce:N} {message.Id}"), cancellation);
    }
}
