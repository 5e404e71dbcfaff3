using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Actors.Faults;

/// <summary>A silo of the campaign, as a process.</summary>
internal static class FaultSilo
{
    public static async Task<int> RunAsync(string name, int siloPort, int gatewayPort, int sinkPort)
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
        using var host = builder.Build();
        await host.StartAsync();
        Console.WriteLine("READY");
        Rig.EndWithParent();
        await host.WaitForShutdownAsync();
        return Environment.ExitCode;
    }

    private static Task DeliverAsync(int sinkPort, OutboxMessage message, CancellationToken cancellation)
    {
        var moved = JsonSerializer.Deserialize<Moved>(message.Json.Span, JsonSerializerOptions.Web)!;
        return EffectSink.TellAsync(
            sinkPort, string.Create(CultureInfo.InvariantCulture, $"message {moved.Account} {moved.Version} {moved.Nonce:N} {message.Id}"), cancellation);
    }
}
