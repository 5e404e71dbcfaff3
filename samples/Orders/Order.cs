namespace Actors.Orders;

/// <summary>What a customer wants: the workflow's input, and one line of the input file.</summary>
/// <param name="Card">What the payment service will say: <c>ok</c> or <c>declined</c>.</param>
/// <param name="Ships">Whether the carrier will ever come. Only the carrier looks at it.</param>
public sealed record Order(string Id, string Customer, IReadOnlyList<OrderItem> Items, int AmountCents, string Card, bool Ships);

public sealed record OrderItem(string Sku, int Quantity);

/// <summary>The carrier took the parcel.</summary>
public sealed record Shipment(string Tracking);

/// <param name="Tracking">Null unless the order was completed.</param>
public sealed record OrderOutcome(OrderEnd End, string? Tracking = null);

/// <summary>How an order ended. All but <see cref="Completed"/> leave the customer without goods and with all the money.</summary>
public enum OrderEnd
{
    Completed,
    OutOfStock,
    Declined,

    /// <summary>The payment service could not be made to answer in time; whatever it had charged is refunded.</summary>
    PaymentFailed,

    /// <summary>The carrier did not come in time.</summary>
    NotShipped,
}

/// <summary>Where an order stands; answers the query.</summary>
public enum OrderStage
{
    Placing,
    Charging,
    AwaitingCarrier,
    Completing,
    Compensating,
    Ended,
}

/// <summary>Topics of the outbox, with what their messages hold.</summary>
public static class OrderTopics
{
    public const string Placed = "order-placed";
    public const string Completed = "order-completed";
    public const string Compensated = "order-compensated";
}

public sealed record OrderPlaced(string Order, string Customer, int AmountCents);

public sealed record OrderCompleted(string Order, string Tracking);

public sealed record OrderCompensated(string Order, OrderEnd Reason);
