namespace Actors.Orders;

/// <summary>Environment variables of the sample's silos. Secrets stand in them because anyone may see a process's arguments.</summary>
internal static class Variables
{
    internal const string PostgresName = "ACTORS_POSTGRES";
    internal const string PaymentsName = "ORDERS_PAYMENTS";
    internal const string WebhookName = "ORDERS_WEBHOOK";
    internal const string WebhookSecretName = "ORDERS_WEBHOOK_SECRET";

    /// <summary>Base address of the payment service.</summary>
    /// <exception cref="ArgumentException">It is no http or https address.</exception>
    internal static Uri Payments => Address(PaymentsName, "http://127.0.0.1:8081");

    /// <summary>Gets the events.</summary>
    /// <exception cref="ArgumentException">It is no http or https address.</exception>
    internal static Uri Webhook => Address(WebhookName, "http://127.0.0.1:8082/events");

    /// <summary>Shared by the silos and the receiver of their events.</summary>
    /// <exception cref="ArgumentException">It is not set.</exception>
    internal static string WebhookSecret => Environment.GetEnvironmentVariable(WebhookSecretName)
        ?? throw new ArgumentException($"Set {WebhookSecretName} to Base64 of 24 to 64 random bytes.");

    private static Uri Address(string name, string byDefault) =>
        Uri.TryCreate(
            Environment.GetEnvironmentVariable(name) is { Length: > 0 } given ? given : byDefault, UriKind.Absolute, out var address)
            && address.Scheme is "http" or "https"
            ? address : throw new ArgumentException($"{name}: give an absolute http or https address.");
}
