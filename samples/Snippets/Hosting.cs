using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Shop;

namespace Actors.Snippets;

public static class Hosting
{
    public static IHost Silo(string connectionString, string webhookSecret)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.AddActors(connectionString, actors =>
        {
            actors.Services.AddHttpClient<IPayments, HttpPayments>();
            actors.AddWorkflow<Checkout>();
            actors.Outbox.Add(
                "shop", new WebhookSink(new WebhookOptions { Endpoint = new("https://shop.example/events"), Secret = webhookSecret }), "orders");
        });
        return builder.Build();
    }

    /// <summary>A silo as a whole program, with health checks and options on its command line: the main method is this line.</summary>
    public static Task<int> MainAsync(string[] args) => SiloProgram.RunAsync(args, actors => actors.AddWorkflow<Checkout>());

    private sealed class HttpPayments(HttpClient http) : IPayments
    {
        public async Task<string> ChargeAsync(long order, string idempotencyKey, CancellationToken cancellation) =>
            await http.GetStringAsync(new Uri($"https://payments.example/charge?order={order}&key={idempotencyKey}"), cancellation);

        public Task RefundAsync(string charge, string idempotencyKey, CancellationToken cancellation) =>
            http.GetStringAsync(new Uri($"https://payments.example/refund?charge={charge}&key={idempotencyKey}"), cancellation);
    }
}
