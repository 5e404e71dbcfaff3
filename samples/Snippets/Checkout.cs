using Dapper;

namespace Actors.Snippets;

#region contract
public interface ICheckout : IWorkflow<Cart, Receipt>      // shared with client apps
{
    [Signal] Task Ship(Tracking tracking);
    [Query] string Where();
}

public sealed record Cart(string Customer, string Sku, int Quantity);
public sealed record Tracking(string Number);
public sealed record Receipt(long Order, string Charge, string? Tracking);
public sealed record OrderPlaced(long Order);
#endregion

#region workflow
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
        var order = await Transaction("reserve", async tx =>       // rows, result and message: one commit, exactly once
        {
            var id = await tx.Connection.ExecuteScalarAsync<long>(
                "insert into checkouts (customer, sku, quantity) values (@Customer, @Sku, @Quantity) returning id", cart, tx.Transaction);
            tx.Publish("orders", cart.Customer, new OrderPlaced(id));
            return id;
        });

        // At least once, every time with the same key: the payment service sees one charge.
        var charge = await Step("charge", step => payments.ChargeAsync(order, step.IdempotencyKey, step.Cancellation), Retry.Exponential(5));

        _where = "waiting for the carrier";
        if (!await WaitUntil(() => _tracking is not null, TimeSpan.FromDays(30)))       // one row, no memory
        {
            await Step("refund", step => payments.RefundAsync(charge, step.IdempotencyKey, step.Cancellation), Retry.Exponential(100));
        }

        return new Receipt(order, charge, _tracking?.Number);
    }
}
#endregion

public interface IPayments
{
    Task<string> ChargeAsync(long order, string idempotencyKey, CancellationToken cancellation);

    Task RefundAsync(string charge, string idempotencyKey, CancellationToken cancellation);
}
