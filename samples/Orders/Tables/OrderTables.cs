using Dapper;
using Npgsql;

namespace Actors.Orders.Tables;

/// <summary>The business tables, schema <c>orders</c>. The three changes of an order run in the workflow's transactions, and take effect
/// with them or not at all.</summary>
public static class OrderTables
{
    /// <summary>How much of each sku the main job puts on the shelf, once: enough for its own file.</summary>
    internal const int PiecesOfEach = 10_000;

    /// <summary>The tables exist when this returns; what is there stays. Safe for many callers at a time.</summary>
    public static async Task CreateAsync(NpgsqlDataSource database, CancellationToken cancellation = default)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await connection.ExecuteAsync(new CommandDefinition(OrderSql.Get("schema"), cancellationToken: cancellation));
    }

    /// <summary>Names this database's shop, so that the files of the payment service and of the webhook receiver are never taken for
    /// another's.</summary>
    public static async Task<Guid> ShopAsync(NpgsqlDataSource database, CancellationToken cancellation = default)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        return await connection.ExecuteScalarAsync<Guid>(new CommandDefinition(OrderSql.Get("read_shop"), cancellationToken: cancellation));
    }

    /// <summary>Every one of these skus has stock when this returns; what was stocked before stays as it is.</summary>
    public static async Task StockAsync(
        NpgsqlDataSource database, IEnumerable<string> skus, int quantity, CancellationToken cancellation = default)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var values = new { skus = skus.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray(), quantity };
        await connection.ExecuteAsync(new CommandDefinition(OrderSql.Get("stock_up"), values, cancellationToken: cancellation));
    }

    /// <summary>Reserves all items and writes the order; where one is short, reserves none and writes the order as ended.</summary>
    /// <returns>False where an item is short.</returns>
    internal static async Task<bool> PlaceAsync(TransactionContext tx, Order order)
    {
        var wanted = order.Items.GroupBy(item => item.Sku, StringComparer.Ordinal).ToDictionary(item => item.Key, item => item.Sum(part => part.Quantity));
        var rows = await QueryAsync<Stock>(tx, "lock_stock", new { skus = wanted.Keys.ToArray() });
        var stock = rows.ToDictionary(row => row.Sku, row => row.Available);
        var enough = wanted.All(item => stock.GetValueOrDefault(item.Key) >= item.Value);
        await ExecuteAsync(tx, "place_order", new
        {
            order.Id,
            order.Customer,
            order.AmountCents,
            state = enough ? "Placed" : nameof(OrderEnd.OutOfStock),
            skus = wanted.Keys.ToArray(),
            quantities = wanted.Values.ToArray(),
        });
        if (enough)
        {
            await ExecuteAsync(tx, "reserve_stock", new { order.Id });
            tx.Publish(OrderTopics.Placed, order.Id, new OrderPlaced(order.Id, order.Customer, order.AmountCents));
        }
        else
        {
            tx.Publish(OrderTopics.Compensated, order.Id, new OrderCompensated(order.Id, OrderEnd.OutOfStock));
        }

        return enough;
    }

    /// <summary>Turns the reservation into a sale and ends the order.</summary>
    internal static async Task CompleteAsync(TransactionContext tx, Order order, Shipment shipment)
    {
        await LockStockAsync(tx, order);
        await ExecuteAsync(tx, "sell_stock", new { order.Id });
        await ExecuteAsync(tx, "end_order", new { order.Id, state = nameof(OrderEnd.Completed) });
        tx.Publish(OrderTopics.Completed, order.Id, new OrderCompleted(order.Id, shipment.Tracking));
    }

    /// <summary>Gives the reservation back and ends the order.</summary>
    internal static async Task CompensateAsync(TransactionContext tx, Order order, OrderEnd reason)
    {
        await LockStockAsync(tx, order);
        await ExecuteAsync(tx, "release_stock", new { order.Id });
        await ExecuteAsync(tx, "end_order", new { order.Id, state = reason.ToString() });
        tx.Publish(OrderTopics.Compensated, order.Id, new OrderCompensated(order.Id, reason));
    }

    private static Task LockStockAsync(TransactionContext tx, Order order) =>
        QueryAsync<Stock>(tx, "lock_stock", new { skus = order.Items.Select(item => item.Sku).ToArray() });

    private static Task<IEnumerable<T>> QueryAsync<T>(TransactionContext tx, string statement, object values) =>
        tx.Connection.QueryAsync<T>(new CommandDefinition(OrderSql.Get(statement), values, tx.Transaction, cancellationToken: tx.Cancellation));

    private static Task<int> ExecuteAsync(TransactionContext tx, string statement, object values) =>
        tx.Connection.ExecuteAsync(new CommandDefinition(OrderSql.Get(statement), values, tx.Transaction, cancellationToken: tx.Cancellation));

    private sealed record Stock(string Sku, int Available);
}
