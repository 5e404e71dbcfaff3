using System.CommandLine;
using System.ComponentModel.DataAnnotations;
using Actors.Silo;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Actors;

/// <summary>
/// A silo as a whole program: its main method is
/// <c>return await SiloProgram.RunAsync(args, actors => actors.AddWorkflow&lt;…&gt;());</c>.
/// Options on the command line (<c>--help</c>), the database in <c>ACTORS_POSTGRES</c>, <c>/health/live</c>, <c>/health/ready</c> and a
/// status text over HTTP, a drain on SIGTERM and Ctrl-C. It stands on AddActors: a host of your own can do all that it does.
/// </summary>
public static class SiloProgram
{
    private const string PostgresVariable = "ACTORS_POSTGRES";

    /// <summary>The exit codes: it has done its work and drained; it cannot start, the message says why; the command line is wrong; there
    /// is no database to go to.</summary>
    private const int Done = 0, DoesNotStart = 1, Usage = 2, NoDatabase = 3;

    private static readonly Option<string> Name = Option("--name", Environment.MachineName, "Of the silo, in logs and tables.");
    private static readonly Option<string> Advertise = Option("--advertise", "127.0.0.1", "Where other silos and clients reach this one.");
    private static readonly Option<int> SiloPort = Option("--silo-port", 11111, "For other silos.");
    private static readonly Option<int> GatewayPort = Option("--gateway-port", 30000, "For clients.");
    private static readonly Option<bool> ListenAny = Option(
        "--listen-any", false, "Listens on all addresses, not on the advertised one alone.");
    private static readonly Option<MembershipProfile> Membership = Option(
        "--membership", MembershipProfile.Default, "How fast a silo that stopped is found.");

    private static readonly Option<string> Http = Address("--http", "http://127.0.0.1:8080", "Where health and status are served.");
    private static readonly Option<string> ClusterId = Option(
        "--cluster-id", "actors", "Silos with the same id and database are one cluster.");
    private static readonly Option<bool> MigrateOnly = new("--migrate-only") { Description = "Brings the schema up to date, and ends." };
    private static readonly Option<bool> UntilStdinEnds = new("--until-stdin-ends") { Hidden = true };

    // Longer than the drain (15 s) and the end of Orleans after it; a pod's termination grace is longer still.
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(25);

    /// <summary>Runs the silo until it is told to end, and has given its workflows away when this returns.</summary>
    /// <param name="configure">What the silo runs. Called after the options of the command line are set, so it has the last word.</param>
    /// <returns>The program's exit code: 0 after a drain; 1 where it cannot start, or could not drain in 30 s, 2 for a wrong command line,
    /// 3 without a database: a sentence on standard error says what and how to mend it.</returns>
    public static async Task<int> RunAsync(string[] args, Action<ActorsBuilder> configure)
    {
        var parsed = Define(new RootCommand($"One silo. Its database: {PostgresVariable}, a connection string."), configure).Parse(args);
        // The drain takes longer than the two seconds that System.CommandLine gives by itself.
        var code = await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromMinutes(2) });
        return parsed.Errors.Count > 0 ? Usage : code;
    }

    /// <summary>The same as a command <c>silo</c>, for a program that has others. Give its invocation a termination time-out longer than
    /// the drain.</summary>
    public static Command Command(Action<ActorsBuilder> configure) =>
        Define(new Command("silo", $"One silo. Its database: {PostgresVariable}, a connection string."), configure);

    private static TCommand Define<TCommand>(TCommand command, Action<ActorsBuilder> configure)
        where TCommand : Command
    {
        foreach (var option in (Option[])
            [Name, Advertise, SiloPort, GatewayPort, ListenAny, Membership, Http, ClusterId, MigrateOnly, UntilStdinEnds])
        {
            command.Options.Add(option);
        }

        command.SetAction(async (parsed, cancellation) =>
        {
            try
            {
                return await RunAsync(parsed, configure, cancellation);
            }
            catch (Exception error) when (error is not OperationCanceledException || !cancellation.IsCancellationRequested)
            {
                await Console.Error.WriteLineAsync($"The silo does not start: {error.Message}");
                if (error is not (NpgsqlException or ActorsException or ArgumentException or ValidationException or IOException))
                {
                    await Console.Error.WriteLineAsync($"{error}"); // What this program's own code threw: its author needs the place.
                }

                return DoesNotStart;
            }
        });
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, Action<ActorsBuilder> configure, CancellationToken cancellation)
    {
        if (Environment.GetEnvironmentVariable(PostgresVariable) is not { Length: > 0 } connectionString)
        {
            await Console.Error.WriteLineAsync(
                $"No database: set {PostgresVariable} to a connection string, Host=…;Database=…;Username=…;Password=…");
            return NoDatabase;
        }

        await using var app = Build(parsed, connectionString, configure);
        if (parsed.GetValue(MigrateOnly))
        {
            await app.Services.MigrateActorsAsync(cancellation);
            return Done;
        }

        var silo = app.Services.GetRequiredService<SiloInfo>();
        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = check => check.Tags.Contains("live") });
        app.MapHealthChecks("/health/ready", new HealthCheckOptions { Predicate = check => check.Tags.Contains("ready") });
        await using var status = new StatusText(connectionString, silo);
        app.MapGet("/", status.ReadAsync);
        app.Lifetime.ApplicationStopping.Register(EndInTime);
        await app.StartAsync(cancellation);
        Console.WriteLine($"READY {silo.Id} {app.Urls.First()}");
        if (parsed.GetValue(UntilStdinEnds))
        {
            _ = StopWithStdinAsync(app.Lifetime);
        }

        await app.WaitForShutdownAsync(cancellation);
        return Environment.ExitCode;
    }

    private static WebApplication Build(ParseResult parsed, string connectionString, Action<ActorsBuilder> configure)
    {
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
            configure(actors);
        });
        return builder.Build();
    }

    /// <summary>Where Postgres is away, Orleans waits for minutes to leave its table: what a drain could not do is done as after a
    /// kill.</summary>
    private static void EndInTime() => new Thread(() =>
    {
        Thread.Sleep(ShutdownTimeout + TimeSpan.FromSeconds(5));
        Console.Error.WriteLine("The silo has not ended in time, as Postgres or its cluster cannot be reached: its process ends now, and "
            + "its workflows are taken over as those of one that was killed.");
        Environment.Exit(DoesNotStart);
    }) { IsBackground = true }.Start();

    private static Option<string> Address(string name, string byDefault, string description)
    {
        var option = Option(name, byDefault, description);
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var given] && !IsAddress(given.Value))
            {
                result.AddError($"{name} is '{given.Value}': give an address like http://0.0.0.0:8080.");
            }
        });
        return option;
    }

    private static bool IsAddress(string text)
    {
        try
        {
            return BindingAddress.Parse(text) is { Scheme: "http" or "https", Port: >= 0 and <= 65_535 };
        }
        catch (FormatException)
        {
            return false;
        }
    }

    private static async Task StopWithStdinAsync(IHostApplicationLifetime lifetime)
    {
        await Task.Run(() => Console.OpenStandardInput().CopyToAsync(Stream.Null));
        lifetime.StopApplication();
    }

    private static Option<T> Option<T>(string name, T byDefault, string description) => new(name)
    {
        DefaultValueFactory = _ => byDefault,
        Description = description,
    };
}
