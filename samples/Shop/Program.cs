using Actors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shop;

var builder = Host.CreateApplicationBuilder();
builder.Logging.SetMinimumLevel(LogLevel.Warning);     // Orleans says much at its start
builder.AddActors(args[0], actors =>
{
    actors.Services.AddSingleton<IPayments, PretendPayments>();
    actors.AddWorkflow<Checkout>();
    actors.Outbox.Add("console", new HandlerSink((message, _) => Console.Out.WriteLineAsync($"{message.Topic}: {message.Key}")), "orders");
});
using var host = builder.Build();
await host.StartAsync();

var checkout = host.Services.GetRequiredService<IWorkflowClient>().Get<ICheckout>("order-42");
// Whoever starts it again gets the run that is there: an order is one order. After one that failed a new run is asked for.
var policy = (await checkout.StatusAsync())?.Status == WorkflowStatus.Failed ? StartPolicy.StartNew : StartPolicy.Attach;
var started = await checkout.StartAsync(new Cart("ann", "tea", 2), policy);
// Whoever sends the same message again changes nothing.
await checkout.SignalAsync(w => w.Ship(new Tracking("T-1")), messageId: $"{started.Run} T-1");
Console.WriteLine(await checkout.QueryAsync(w => w.Where()));
Console.WriteLine(await checkout.ResultAsync());       // across crashes, restarts and moves of silos
await host.WaitForShutdownAsync();

internal sealed class PretendPayments : IPayments
{
    public Task<string> ChargeAsync(long order, string idempotencyKey, CancellationToken cancellation) => Task.FromResult($"charge-{order}");

    public Task RefundAsync(string charge, string idempotencyKey, CancellationToken cancellation) => Task.CompletedTask;
}
