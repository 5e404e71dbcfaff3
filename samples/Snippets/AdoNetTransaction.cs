using Npgsql;

namespace Actors.Snippets;

public sealed record Transfer(string From, string To, long Cents);

public sealed class MoveMoney : Workflow<Transfer, long>
{
    #region ado-net
    protected override Task<long> RunAsync(Transfer transfer) => Transaction("move", async tx =>
    {
        await using var move = new NpgsqlCommand(
            """
            with taken as (
                update accounts set cents = cents - $3 where id = $1 and cents >= $3 returning cents),
            given as (
                update accounts set cents = accounts.cents + $3 from taken where id = $2 returning 1)
            select taken.cents from taken, given
            """,
            tx.Connection);     // the connection is inside tx.Transaction; never commit it here
        foreach (var value in (object[])[transfer.From, transfer.To, transfer.Cents])
        {
            move.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        return await move.ExecuteScalarAsync(tx.Cancellation) is long left
            ? left
            : throw new InvalidOperationException("Not enough money, or no such account.");      // rolls back
    });
    #endregion
}
