using Actors.Orders.Payments;
using Actors.Orders.Tables;

namespace Actors.Orders;

/// <summary>
/// One order, from the reservation to the parcel or back. Ends exactly once: goods sold and money kept, or goods back on the shelf and
/// money returned, whatever crashes on the way.
/// </summary>
public sealed class OrderWorkflow(IPayments payments) : Workflow<Order, OrderOutcome>, IOrderWorkflow
{
    private static readonly TimeSpan ShipWithin = TimeSpan.FromSeconds(5);

    // One attempt is short, because an answer that is late is as good as none: the next attempt asks with the same key.
    private static readonly Retry ChargeRetry = Retry.Exponential(10, TimeSpan.FromMilliseconds(50), cap: TimeSpan.FromSeconds(1))
        .WithAttemptTimeout(TimeSpan.FromSeconds(1))
        .Except<CardDeclinedException>();

    // Money that was taken is given back, however long that takes.
    private static readonly Retry RefundRetry = Retry.Exponential(1_000_000, TimeSpan.FromMilliseconds(50), cap: TimeSpan.FromSeconds(5))
        .WithAttemptTimeout(TimeSpan.FromSeconds(1));

    private Shipment? _shipment;
    private OrderStage _stage = OrderStage.Placing;

    public Task Ship(Shipment shipment)
    {
        _shipment ??= shipment;
        return Task.CompletedTask;
    }

    public OrderStage Stage() => _stage;

    protected override async Task<OrderOutcome> RunAsync(Order order)
    {
        if (!await Transaction("place", tx => OrderTables.PlaceAsync(tx, order)))
        {
            return Ended(OrderEnd.OutOfStock);
        }

        _stage = OrderStage.Charging;
        try
        {
            await Step("charge", step => payments.ChargeAsync(order, step.IdempotencyKey, step.Cancellation), ChargeRetry);
        }
        catch (StepFailedException failure)
        {
            // Only a declined card is certain to be uncharged: after anything else, the money may be at the other side.
            var declined = failure.Is<CardDeclinedException>();
            return await CompensateAsync(order, declined ? OrderEnd.Declined : OrderEnd.PaymentFailed, mayBeCharged: !declined);
        }

        _stage = OrderStage.AwaitingCarrier;
        if (!await WaitUntil(() => _shipment is not null, ShipWithin))
        {
            return await CompensateAsync(order, OrderEnd.NotShipped, mayBeCharged: true);
        }

        _stage = OrderStage.Completing;
        await Transaction("complete", tx => OrderTables.CompleteAsync(tx, order, _shipment!));
        return Ended(OrderEnd.Completed, _shipment!.Tracking);
    }

    private async Task<OrderOutcome> CompensateAsync(Order order, OrderEnd reason, bool mayBeCharged)
    {
        _stage = OrderStage.Compensating;
        if (mayBeCharged)
        {
            await Step("refund", step => payments.RefundAsync(order.Id, step.IdempotencyKey, step.Cancellation), RefundRetry);
        }

        await Transaction("compensate", tx => OrderTables.CompensateAsync(tx, order, reason));
        return Ended(reason);
    }

    private OrderOutcome Ended(OrderEnd end, string? tracking = null)
    {
        _stage = OrderStage.Ended;
        return new OrderOutcome(end, tracking);
    }
}
