using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Actors.Orders;
using Actors.Orders.MainJob;
using Actors.Orders.Tables;
using Actors.Storage;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Npgsql;

namespace Actors.Silo;

/// <summary><c>silo</c>: one silo process, as it runs in a pod and under the main job.</summary>
internal static class SiloCommand
{
    private static readonly Option<string> Name = new("--name") { DefaultValueFactory = _ => Environment.MachineName, Description = "Of the silo, in logs and tables." };
    private static readonly Option<string> Advertise = new("--advertise") { DefaultValueFactory = _ => "127.0.0.1", Description = "The address at which other silos and clients reach this one." };
    private static readonly Option<int> SiloPort = new("--silo-port") { DefaultValueFactory = _ => 11111, Description = "For other silos." };
    private static readonly Option<int> GatewayPort = new("--gateway-port") { DefaultValueFactory = _ => 30000, Description = "For clients." };
    private static readonly Option<bool> ListenAny = new("--listen-any") { Description = "Listens on all addresses, not on the advertised one alone: in containers." };
    private static readonly Option<MembershipProfile> Membership = new("--membership") { Description = "How fast a silo that stopped is found." };
    private static readonly Option<string> Http = new("--http") { DefaultValueFactory = _ => "http://127.0.0.1:8080", Description = "Where health and status are served." };
    private static readonly Option<string> ClusterId = new("--cluster-id") { DefaultValueFactory = _ => "actors", Description = "Silos with the same id and database are one cluster." };
    private static readonly Option<Uri> Payments = Address("--payments", "http://127.0.0.1:8081", "The sample's payment service.");
    private static readonly Option<Uri> Webhook = Address("--webhook", "http://127.0.0.1:8082/events", "Gets the sample's events.");
    private static readonly Option<bool> MigrateOnly = new("--migrate-only") { Description = "Brings the schema up to date, and ends." };
    // Longer than the drain (15 s) and the end of Orleans after it; a pod's termination grace is longer still.
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(25);
    private static readonly Option<bool> UntilStdinEnds = Lifetime.Option();

    internal static Command Create()
    {
        var command = new Command("silo", $"One silo. Its database: {JobVariables.Postgres}; the key of the webhook's signatures: {JobVariables.WebhookSecret} (Base64).")
        {
            Name, Advertise, SiloPort, GatewayPort, ListenAny, Membership, Http, ClusterId, Payments, Webhook, MigrateOnly, UntilStdinEnds,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            try
            {
                return await RunAsync(parsed, cancellation);
            }
            catch (Exception error) when (error is NpgsqlException or ActorsException or ArgumentException or ValidationException)
            {
                await Console.Error.WriteLineAsync($"The silo does not start: {error.Message}");
                return ExitCodes.HoldsNot;
            }
        });
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellation)
    {
        if (Environment.GetEnvironmentVariable(JobVariables.Postgres) is not { Length: > 0 } connectionString)
        {
            await Console.Error.WriteLineAsync($"No database: set {JobVariables.Postgres} to a connection string, Host=…;Database=…;Username=…;Password=…");
            return ExitCodes.Missing;
        }

        if (parsed.GetValue(MigrateOnly))
        {
            await using var database = NpgsqlDataSource.Create(connectionString);
            await Migrator.MigrateAsync(database, cancellation);
            await OrderTables.CreateAsync(database, cancellation);
            return ExitCodes.Holds;
        }

        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls(parsed.GetValue(Http)!);
        builder.Logging.AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat) = (true, "HH:mm:ss.fff "));
        builder.Logging.AddFilter("Orleans", LogLevel.Warning).AddFilter("Polly", LogLevel.None).AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = ShutdownTimeout);
        builder.AddActors(connectionString, actors =>
        {
            actors.Cluster.ClusterId = parsed.GetValue(ClusterId)!;
            actors.Cluster.SiloName = parsed.GetValue(Name)!;
            actors.Cluster.AdvertisedAddress = parsed.GetValue(Advertise)!;
            actors.Cluster.SiloPort = parsed.GetValue(SiloPort);
            actors.Cluster.GatewayPort = parsed.GetValue(GatewayPort);
            actors.Cluster.ListenOnAnyAddress = parsed.GetValue(ListenAny);
            actors.Cluster.Membership = parsed.GetValue(Membership);
            actors.AddOrders(parsed.GetValue(Payments)!, parsed.GetValue(Webhook)!, Secret());
        });
        await using var app = builder.Build();
        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = check => check.Tags.Contains("live") });
        app.MapHealthChecks("/health/ready", new HealthCheckOptions { Predicate = check => check.Tags.Contains("ready") });
        var engine = app.Services.GetRequiredService<EngineDatabase>();
        StatusPage.Map(app, engine.Users, parsed.GetValue(Name)!);
        await Lifetime.RunAsync(app, engine.Silo, parsed.GetValue(UntilStdinEnds), cancellation);
        return Environment.ExitCode;
    }

    private static Option<Uri> Address(string name, string byDefault, string description) => new(name)
    {
        Description = $"{description} Default: {byDefault}",
        DefaultValueFactory = _ => new Uri(byDefault),
        CustomParser = result =>
        {
            if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out var address) && address.Scheme is "http" or "https")
            {
                return address;
            }

            result.AddError($"{name}: give an absolute http or https address.");
            return null;
        },
    };

    private static string Secret() => Environment.GetEnvironmentVariable(JobVariables.WebhookSecret)
        ?? throw new InvalidOperationException($"Set {JobVariables.WebhookSecret} to Base64 of 24 to 64 random bytes.");
}
