using Actors.Orders.Payments;
using Actors.Orders.Tables;
using Microsoft.Extensions.DependencyInjection;

namespace Actors.Orders;

/// <summary>What a silo adds to run orders.</summary>
public static class OrdersSample
{
    // A second, as the callers of real services have less patience than these have time.
    private static readonly TimeSpan WebhookTimeout = TimeSpan.FromSeconds(1);

    /// <param name="payments">Base address of the payment service.</param>
    /// <param name="webhook">Gets the events.</param>
    /// <param name="webhookSecret">Base64 of 24 to 64 bytes, shared with the receiver.</param>
    public static ActorsBuilder AddOrders(this ActorsBuilder actors, Uri payments, Uri webhook, string webhookSecret)
    {
        actors.Services.AddHttpClient<IPayments, PaymentsClient>(http => http.BaseAddress = payments).RemoveAllLoggers();
        actors.Outbox.Add(
            "shop-webhook",
            new WebhookSink(new WebhookOptions { Endpoint = webhook, Secret = webhookSecret, Timeout = WebhookTimeout }),
            OrderTopics.Placed,
            OrderTopics.Completed,
            OrderTopics.Compensated);
        return actors.AddWorkflow<OrderWorkflow>().AddMigration(OrderTables.CreateAsync);
    }
}
