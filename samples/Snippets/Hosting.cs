using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Actors.Snippets;

public static class Hosting
{
    public static IHost Silo(string connectionString, string webhookSecret)
    {
        #region silo
        var builder = Host.CreateApplicationBuilder();
        builder.AddActors(connectionString, actors =>
        {
            actors.Services.AddHttpClient<IPayments, HttpPayments>();
            actors.AddWorkflow<Checkout>();
            actors.Outbox.Add(
                "shop", new WebhookSink(new WebhookOptions { Endpoint = new("https://shop.example/events"), Secret = webhookSecret }), "orders");
            actors.Outbox.Add("here", new HandlerSink((message, _) => Console.Out.WriteLineAsync($"{message.Topic} {message.Key}")), "orders");
        });
        return builder.Build();
        #endregion
    }

    public static IHost Client(string connectionString)
    {
        #region client
        var builder = Host.CreateApplicationBuilder();
        builder.AddActorsClient(connectionString);      // then take IWorkflowClient from the services
        return builder.Build();
        #endregion
    }

    private sealed class HttpPayments(HttpClient http) : IPayments
    {
        public async Task<string> ChargeAsync(long order, string idempotencyKey, CancellationToken cancellation) =>
            await http.GetStringAsync(new Uri($"https://payments.example/charge?order={order}&key={idempotencyKey}"), cancellation);

        public Task RefundAsync(string charge, string idempotencyKey, CancellationToken cancellation) =>
            http.GetStringAsync(new Uri($"https://payments.example/refund?charge={charge}&key={idempotencyKey}"), cancellation);
    }
}
