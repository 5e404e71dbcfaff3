using Actors;
using Dapper;

namespace Shop;

public sealed class Checkout(IPayments payments) : Workflow<Cart, Receipt>, ICheckout
{
    private Tracking? _tracking;
    private string _where = "at the till";

    public Task Ship(Tracking tracking)
    {
        _tracking = tracking;
        return Task.CompletedTask;
    }

    public string Where() => _where;

    protected override async Task<Receipt> RunAsync(Cart cart)
    {
        // Your rows, the step's result and the message: one commit, exactly once.
        var order = await Transaction("reserve", async tx =>
        {
            var id = await tx.Connection.ExecuteScalarAsync<long>(
                "insert into checkouts (customer, sku, quantity) values (@Customer, @Sku, @Quantity) returning id", cart, tx.Transaction);
            tx.Publish("orders", cart.Customer, new OrderPlaced(id));
            return id;
        });

        // At least once, every time with the same key: the payment service sees one charge.
        var charge = await Step("charge", step => payments.ChargeAsync(order, step.IdempotencyKey, step.Cancellation), Retry.Exponential(5));

        // A month is one row, and no memory.
        _where = "waiting for the carrier";
        if (!await WaitUntil(() => _tracking is not null, TimeSpan.FromDays(30)))
        {
            await Step("refund", step => payments.RefundAsync(charge, step.IdempotencyKey, step.Cancellation), Retry.Exponential(100));
        }

        return new Receipt(order, charge, _tracking?.Number);
    }
}

public sealed record OrderPlaced(long Order);

public interface IPayments
{
    Task<string> ChargeAsync(long order, string idempotencyKey, CancellationToken cancellation);

    Task RefundAsync(string charge, string idempotencyKey, CancellationToken cancellation);
}
