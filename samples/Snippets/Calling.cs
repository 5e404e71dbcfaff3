namespace Actors.Snippets;

public static class Calling
{
    public static async Task<Receipt> CheckOutAsync(IWorkflowClient workflows, Cart cart)
    {
        #region calling
        var checkout = workflows.Get<ICheckout>("order-42");
        await checkout.StartAsync(cart);                                                // again with the same id: attaches
        await checkout.SignalAsync(w => w.Ship(new Tracking("T-1")), messageId: "carrier-77");
        var where = await checkout.QueryAsync(w => w.Where());
        Receipt receipt = await checkout.ResultAsync();                                 // across crashes and moves of silos
        #endregion
        Console.WriteLine(where);
        return receipt;
    }
}
