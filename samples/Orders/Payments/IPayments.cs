namespace Actors.Orders.Payments;

/// <summary>The payment service, as the workflow needs it. Calls with the same idempotency key are one call.</summary>
public interface IPayments
{
    /// <summary>The order's amount is charged when this returns.</summary>
    /// <exception cref="CardDeclinedException">It is not charged, and never will be under this key.</exception>
    /// <exception cref="HttpRequestException">It may or may not be charged: ask again with the same key, or refund.</exception>
    Task ChargeAsync(Order order, string idempotencyKey, CancellationToken cancellation);

    /// <summary>Whatever was charged for the order is given back when this returns, and a charge that comes later is refused.</summary>
    /// <exception cref="HttpRequestException">Unknown: ask again with the same key.</exception>
    Task RefundAsync(string order, string idempotencyKey, CancellationToken cancellation);
}

/// <summary>The answer is no. Another attempt would get the same.</summary>
public sealed class CardDeclinedException(string message) : Exception(message);
