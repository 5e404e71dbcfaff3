using System.CommandLine;
using Actors;
using Actors.Orders;
using Actors.Orders.MainJob;
using Actors.Postgres;

var command = new RootCommand("Durable workflows on Postgres and Orleans. Without a command: runs the orders of FILE and reconciles.")
{
    SiloProgram.Command(actors => actors.AddOrders(Variables.Payments, Variables.Webhook, Variables.WebhookSecret)),
    PostgresCommand.Create(),
    ServiceCommands.Payments(),
    ServiceCommands.Webhook(),
    ServiceCommands.Generate(),
};
MainJobCommand.AddTo(command);

var parsed = command.Parse(MainJobCommand.WithCrashCount(args));
// The drain of a silo and the supervisor's tidying up take longer than the two seconds that System.CommandLine gives by itself.
var code = await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromMinutes(2) });
return parsed.Errors.Count > 0 ? ExitCodes.Usage : code;
