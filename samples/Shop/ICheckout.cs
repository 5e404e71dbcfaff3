using Actors;

namespace Shop;

public interface ICheckout : IWorkflow<Cart, Receipt>
{
    [Signal] Task Ship(Tracking tracking);

    [Query] string Where();
}

public sealed record Cart(string Customer, string Sku, int Quantity);

public sealed record Tracking(string Number);

public sealed record Receipt(long Order, string Charge, string? Tracking);
