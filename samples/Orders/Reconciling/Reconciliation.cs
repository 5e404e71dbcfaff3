using Actors.Orders.MainJob;
using Actors.Orders.Payments;
using Actors.Orders.Webhook;
using Dapper;
using Npgsql;

namespace Actors.Orders.Reconciling;

/// <summary>What is true in the database and at the other side, compared. Holds when <see cref="Differences"/> is empty.</summary>
/// <param name="Completed">Of the orders of the file.</param>
/// <param name="Compensated">Of the orders of the file: all that ended and were not completed.</param>
public sealed record Reconciliation(int Orders, int Completed, int Compensated, IReadOnlyList<string> Differences)
{
    /// <summary>Reads everything, and compares: stock is conserved; each order ended once, as its file line says it can; each was charged
    /// exactly once, or has its money back; the webhook got exactly the committed messages, in order per order; no acknowledged signal is
    /// lost.</summary>
    /// <param name="orders">All orders of the file.</param>
    /// <param name="acknowledgedShips">Orders whose shipment signal was acknowledged to the carrier.</param>
    public static async Task<Reconciliation> ReadAsync(
        NpgsqlDataSource database, IReadOnlyList<Order> orders, IReadOnlyCollection<string> acknowledgedShips, string paymentsFile, string webhookFile,
        CancellationToken cancellation = default)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var rows = (await connection.QueryAsync<OrderRow>(OrderSql.Get("read_orders"))).ToDictionary(row => row.Id, StringComparer.Ordinal);
        var runs = (await connection.QueryAsync<RunRow>(OrderSql.Get("committed_messages"))).ToList();
        var outbox = await connection.QuerySingleAsync<OutboxLeft>(OrderSql.Get("outbox_left"));
        var signals = new { ids = acknowledgedShips.ToArray(), prefix = Carrier.MessagePrefix };
        List<string> differences =
        [
            .. orders.SelectMany(order => OrderFaults(order, rows.GetValueOrDefault(order.Id))),
            .. rows.Values.Where(row => row.EndedCount > 1).Select(row => $"order {row.Id} ended {row.EndedCount} times"),
            .. from run in runs where run.Status is 2 or 3 select $"order {run.Id}: its workflow has {(run.Status == 2 ? "failed" : "been set aside")}",
            .. (await connection.QueryAsync<string>(OrderSql.Get("unbalanced_stock"))).Select(stock => $"stock {stock}"),
            .. (await connection.QueryAsync<string>(OrderSql.Get("overlooked_shipments"))).Select(id => $"order {id} was shipped in time and compensated"),
            .. (await connection.QueryAsync<string>(OrderSql.Get("lost_signals"), signals)).Select(id => $"order {id}: its acknowledged shipment is lost"),
            .. PaymentFaults(AppendOnlyFile<Payment>.Read(paymentsFile), rows),
            .. WebhookFaults(AppendOnlyFile<Delivery>.Read(webhookFile), runs),
        ];
        if (outbox.Waiting + outbox.Dead > 0)
        {
            differences.Add(
                $"outbox: {outbox.Waiting} messages not delivered (of {outbox.Ranges} ranges of partitions, up to {outbox.Attempts} attempts, "
                + $"the last to be tried in {outbox.SecondsToNext} s), {outbox.Dead} dead letters");
        }

        var completed = orders.Count(order => rows.GetValueOrDefault(order.Id)?.State == nameof(OrderEnd.Completed));
        var ended = orders.Count(order => rows.GetValueOrDefault(order.Id)?.EndedCount > 0);
        return new Reconciliation(orders.Count, completed, ended - completed, differences);
    }

    /// <summary>The program's last line.</summary>
    public string Line(int kills) =>
        (Differences.Count == 0 ? "" : "NOT ")
        + $"RECONCILED orders={Orders} completed={Completed} compensated={Compensated} kills={kills}"
        + (Differences.Count == 0 ? "" : $" differences={Differences.Count}: {string.Join("; ", Differences.Take(3))}")
        + (Differences.Count > 3 ? "; …" : "");

    private static IEnumerable<string> OrderFaults(Order order, OrderRow? row)
    {
        if (row is null)
        {
            yield return $"order {order.Id} was never placed";
            yield break;
        }

        if (row.Customer != order.Customer || row.AmountCents != order.AmountCents)
        {
            yield return $"order {order.Id} is in the database with other content: an earlier file had the same id";
        }

        if (row.EndedCount == 0)
        {
            yield return $"order {order.Id} has not ended";
        }
        else if (row.State is nameof(OrderEnd.Completed) or nameof(OrderEnd.NotShipped) && order.Card != "ok")
        {
            yield return $"order {order.Id} ended as {row.State} with a card that is declined";
        }
        else if (row.State == nameof(OrderEnd.Declined) && order.Card == "ok")
        {
            yield return $"order {order.Id} ended as declined with a card that is ok";
        }
        else if (row.State == nameof(OrderEnd.Completed) && !order.Ships)
        {
            yield return $"order {order.Id} was completed without a shipment";
        }
    }

    private static IEnumerable<string> PaymentFaults(List<Payment> payments, Dictionary<string, OrderRow> rows)
    {
        var byOrder = payments.ToLookup(payment => payment.Order, StringComparer.Ordinal);
        foreach (var row in rows.Values.Where(row => row.EndedCount > 0))
        {
            var charges = byOrder[row.Id].Where(payment => payment.Kind == PaymentKind.Charged).ToList();
            var paid = charges.Sum(payment => (long)payment.AmountCents);
            var kept = paid - byOrder[row.Id].Where(payment => payment.Kind == PaymentKind.Refunded).Sum(payment => (long)payment.AmountCents);
            var due = row.State == nameof(OrderEnd.Completed) ? row.AmountCents : 0;
            if (charges.Count > 1 || kept != due || (charges.Count == 1 && paid != row.AmountCents))
            {
                yield return $"order {row.Id} ({row.State}) was charged {charges.Count} times, {paid} cents in all, and {kept} were kept instead of {due}";
            }
        }

        foreach (var order in byOrder.Where(order => !rows.ContainsKey(order.Key)))
        {
            yield return $"order {order.Key} is known to the payment service alone";
        }
    }

    private static IEnumerable<string> WebhookFaults(List<Delivery> deliveries, List<RunRow> runs)
    {
        var committed = runs.ToDictionary(run => run.Run);
        var last = new Dictionary<Guid, int>();
        foreach (var delivery in deliveries)
        {
            var parts = delivery.Id.Split(':');
            var (run, ordinal) = parts.Length == 2 && Guid.TryParse(parts[0], out var guid) && int.TryParse(parts[1], out var number)
                ? (guid, number) : (Guid.Empty, 0);
            if (!committed.TryGetValue(run, out var row) || ordinal > row.Messages || delivery.Subject != row.Id)
            {
                yield return $"message {delivery.Id} (order {delivery.Subject}) came to the webhook and was never committed";
            }
            else if (ordinal != last.GetValueOrDefault(run) + 1)
            {
                yield return $"order {row.Id}: message {ordinal} came to the webhook after message {last.GetValueOrDefault(run)}";
            }

            last[run] = ordinal;
        }

        foreach (var row in runs.Where(row => last.GetValueOrDefault(row.Run) < row.Messages))
        {
            yield return $"order {row.Id}: {row.Messages} messages were committed, {last.GetValueOrDefault(row.Run)} came to the webhook";
        }
    }

    private sealed record OrderRow(string Id, string Customer, int AmountCents, string State, int EndedCount);

    private sealed record RunRow(string Id, Guid Run, short Status, int Messages);
}

internal sealed record OutboxLeft(int Waiting, int Attempts, int SecondsToNext, int Ranges, int Dead);
