using System.CommandLine;
using Actors.Orders.Input;
using Actors.Orders.Payments;
using Actors.Orders.Webhook;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Actors.Orders;

/// <summary>The sample's small processes, and the maker of its input. The main job starts them; nobody else needs to.</summary>
internal static class ServiceCommands
{
    private static readonly Option<string> File = new("--file") { Required = true, Description = "What the service keeps." };
    private static readonly Option<int> Seed = new("--seed") { DefaultValueFactory = _ => 1, Description = "Of its trouble." };
    private static readonly Option<bool> UntilStdinEnds = new("--until-stdin-ends") { Hidden = true };

    internal static Command Payments() => Service("payments", "The sample's payment service.", 8081, (builder, parsed) =>
        PaymentService.Build(builder, parsed.GetValue(File)!, parsed.GetValue(Seed)));

    internal static Command Webhook() => Service("webhook", "The sample's webhook receiver.", 8082, (builder, parsed) =>
        WebhookReceiver.Build(
            builder,
            parsed.GetValue(File)!,
            Variables.WebhookSecret,
            parsed.GetValue(Seed)));

    internal static Command Generate()
    {
        var count = new Option<int>("--count") { DefaultValueFactory = _ => 1_000 };
        var command = new Command("generate", "Prints orders made up from a seed.") { count, Seed };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            foreach (var line in OrderGenerator.Lines(parsed.GetValue(count), parsed.GetValue(Seed)))
            {
                Console.Out.Write(line + "\n");
            }
        });
        return command;
    }

    private static Command Service(
        string name, string description, int defaultPort, Func<WebApplicationBuilder, ParseResult, WebApplication> build)
    {
        var port = new Option<int>("--port") { DefaultValueFactory = _ => defaultPort };
        var command = new Command(name, description) { port, File, Seed, UntilStdinEnds };
        command.Hidden = true;
        command.SetAction(async (parsed, cancellation) =>
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.WebHost.UseUrls($"http://127.0.0.1:{parsed.GetValue(port)}");
            builder.Logging.SetMinimumLevel(LogLevel.Warning);
            await using var app = build(builder, parsed);
            await app.StartAsync(cancellation);
            Console.WriteLine($"READY {Guid.NewGuid()} {app.Urls.First()}");
            if (parsed.GetValue(UntilStdinEnds))
            {
                _ = StopWithStdinAsync(app);
            }

            await app.WaitForShutdownAsync(cancellation);
        });
        return command;
    }

    private static async Task StopWithStdinAsync(WebApplication app)
    {
        await Task.Run(() => Console.OpenStandardInput().CopyToAsync(Stream.Null));
        app.Lifetime.StopApplication();
    }
}
