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
    private static readonly Option<string> Name = Option("--name", Environment.MachineName, "Of the silo, in logs and tables.");
    private static readonly Option<string> Advertise = Option("--advertise", "127.0.0.1", "Where other silos and clients reach this one.");
    private static readonly Option<int> SiloPort = Option("--silo-port", 11111, "For other silos.");
    private static readonly Option<int> GatewayPort = Option("--gateway-port", 30000, "For clients.");
    private static readonly Option<bool> ListenAny = Option(
        "--listen-any", false, "Listens on all addresses, not on the advertised one alone.");
    private static readonly Option<MembershipProfile> Membership = Option(
        "--membership", MembershipProfile.Default, "How fast a silo that stopped is found.");

    private static readonly Option<string> Http = Option("--http", "http://127.0.0.1:8080", "Where health and status are served.");
    private static readonly Option<string> ClusterId = Option(
        "--cluster-id", "actors", "Silos with the same id and database are one cluster.");
    private static readonly Option<Uri> Payments = Address("--payments", "http://127.0.0.1:8081", "The sample's payment service.");
    private static readonly Option<Uri> Webhook = Address("--webhook", "http://127.0.0.1:8082/events", "Gets the sample's events.");
    private static readonly Option<bool> MigrateOnly = new("--migrate-only") { Description = "Brings the schema up to date, and ends." };
    // Longer than the drain (15 s) and the end of Orleans after it; a pod's termination grace is longer still.
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(25);
    private static readonly Option<bool> UntilStdinEnds = Lifetime.Option();

    internal static Command Create()
    {
        var command = new Command(
            "silo", $"One silo. Its database: {JobVariables.Postgres}; the key of the webhook's signatures: {JobVariables.WebhookSecret} "
                + $"(Base64).")
        {
            Name, Advertise, SiloPort, GatewayPort, ListenAny, Membership, Http, ClusterId, Payments, Webhook, MigrateOnly, UntilStdinEnds,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            try
            {
                return await RunAsync(parsed, cancellation);
            }
            catch (Exception error)
                when (error is NpgsqlException or ActorsException or ArgumentException or ValidationException or IOException)
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
            await Console.Error.WriteLineAsync(
                $"No database: set {JobVariables.Postgres} to a connection string, Host=…;Database=…;Username=…;Password=…");
            return ExitCodes.Missing;
        }

        if (parsed.GetValue(MigrateOnly))
        {
            await using var database = NpgsqlDataSource.Create(connectionString + ";Enlist=false");
            await Migrator.MigrateAsync(database, cancellation);
            await OrderTables.CreateAsync(database, cancellation);
            return ExitCodes.Holds;
        }

        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls(parsed.GetValue(Http)!);
        builder.Logging.AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat) = (true, "HH:mm:ss.fff "));
        // Polly repeats, stack by stack, what Orleans.Messaging says of every call that waits while a silo dies.
        builder.Logging.AddFilter("Polly", LogLevel.None)
            .AddFilter("Orleans", LogLevel.Warning)
            .AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
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

    private static Option<T> Option<T>(string name, T byDefault, string description) => new(name)
    {
        DefaultValueFactory = _ => byDefault,
        Description = description,
    };

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
        ?? throw new ArgumentException($"Set {JobVariables.WebhookSecret} to Base64 of 24 to 64 random bytes.");
}
