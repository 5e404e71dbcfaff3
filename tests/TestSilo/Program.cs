using System.Globalization;
using Actors;
using Actors.TestSilo;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

// A silo for tests: CONNECTION CLUSTER NAME SILO_PORT GATEWAY_PORT [unwatching]. Prints READY when it has joined, ends on SIGTERM.
if (args is not [var connection, var cluster, var name, var siloPort, var gatewayPort, .. var more])
{
    return 2;
}

var builder = Host.CreateApplicationBuilder();
builder.Logging.ClearProviders().AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat) = (true, "HH:mm:ss.fff "));
builder.Logging.SetMinimumLevel(LogLevel.Information).AddFilter("Orleans", LogLevel.Warning).AddFilter(
    "Microsoft", LogLevel.Warning).AddFilter("Polly", LogLevel.Warning);
builder.AddActors(connection, actors =>
{
    actors.AddWorkflow<Transfers>().AddWorkflow<Held>().AddWorkflow<Waiting>().AddWorkflow<Nap>().AddWorkflow<Hoard>().AddWorkflow<Bulky>();
    (actors.Cluster.ClusterId, actors.Cluster.SiloName, actors.Cluster.Membership) = (cluster, name, MembershipProfile.Tight);
    (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = (
        int.Parse(siloPort, CultureInfo.InvariantCulture), int.Parse(gatewayPort, CultureInfo.InvariantCulture));
    actors.Cluster.WatchesMembership = more is not ["unwatching"];
    actors.Execution.ReleaseWait = TimeSpan.FromSeconds(1);
});
using var host = builder.Build();
await host.StartAsync();
Console.WriteLine("READY");
await host.WaitForShutdownAsync();
return Environment.ExitCode;
