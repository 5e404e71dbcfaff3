using Dapper;
using Npgsql;

namespace Actors.Orders.MainJob;

/// <summary>
/// The orders of the file under the ids of one round. An order's id is its idempotency key, so what has ended stays so: a job that is
/// to be done once more, because there is something to kill, is done under new ids (<c>o-1~2</c>).
/// </summary>
/// <param name="Ended">Those that have ended already, with how.</param>
internal sealed record Round(int Number, IReadOnlyList<Order> Orders, IReadOnlyDictionary<string, OrderEnd> Ended)
{
    public IReadOnlyList<Order> Left => [.. Orders.Where(order => !Ended.ContainsKey(order.Id))];

    /// <summary>The round to go on with: the last that was begun, and the first where there is none.</summary>
    /// <param name="anew">Where that one has ended: the next.</param>
    public static async Task<Round> FindAsync(NpgsqlDataSource database, IReadOnlyList<Order> orders, bool anew, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var started = (await connection.QueryAsync<Started>(new CommandDefinition(OrderSql.Get("read_started"), cancellationToken: cancellation)))
            .ToDictionary(row => row.Id, StringComparer.Ordinal);
        var round = Of(1, orders, started);
        while (round.Left.Count == 0 && orders.Count > 0)
        {
            var next = Of(round.Number + 1, orders, started);
            if (!anew && !next.Orders.Any(order => started.ContainsKey(order.Id)))
            {
                break;
            }

            round = next;
        }

        return round;
    }

    private static Round Of(int number, IReadOnlyList<Order> orders, Dictionary<string, Started> started)
    {
        var named = number == 1 ? orders : [.. orders.Select(order => order with { Id = $"{order.Id}~{number}" })];
        return new Round(number, named, named
            .Where(order => started.GetValueOrDefault(order.Id) is { Ended: true })
            .ToDictionary(order => order.Id, order => Enum.Parse<OrderEnd>(started[order.Id].State!), StringComparer.Ordinal));
    }

    private sealed record Started(string Id, bool Ended, string? State);
}
