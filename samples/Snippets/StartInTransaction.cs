using Npgsql;
using Shop;

namespace Actors.Snippets;

public static class StartInTransaction
{
    #region start-in-transaction
    public static async Task PlaceAsync(NpgsqlDataSource database, IWorkflowClient workflows, Cart cart)
    {
        var checkout = workflows.Get<ICheckout>($"cart-{cart.Customer}");
        await using var connection = await database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var close = new NpgsqlCommand("update carts set closed = true where customer = $1", connection, transaction))
        {
            close.Parameters.Add(new NpgsqlParameter { Value = cart.Customer });
            await close.ExecuteNonQueryAsync();
        }

        await checkout.StartAsync(cart, transaction);       // the cart is closed and the checkout exists, or neither
        await transaction.CommitAsync();
        await checkout.WakeAsync();                        // it runs at once; without this, within a second
    }
    #endregion

    #region start-many
    public static async Task PlaceAllAsync(NpgsqlDataSource database, IWorkflowClient workflows, IEnumerable<Cart> carts)
    {
        await using var connection = await database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        var inputs = carts.Select(cart => KeyValuePair.Create($"cart-{cart.Customer}", cart));
        await workflows.StartManyAsync<ICheckout, Cart>(inputs, transaction);   // a million, or none
        await transaction.CommitAsync();
    }
    #endregion
}
