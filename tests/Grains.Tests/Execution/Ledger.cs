using Actors.Support;
using Npgsql;

namespace Actors.Grains.Tests.Execution;

/// <summary>The business table of transaction tests.</summary>
internal static class Ledger
{
    public static Task CreateAsync(TestDatabase database) =>
        database.ExecuteAsync("create table if not exists ledger (id text, amount int)");

    public static async Task<int> PayAsync(TransactionContext tx, string id, int amount)
    {
        await using var command = new NpgsqlCommand(
            "insert into ledger values ($1, $2)", tx.Connection) { Parameters = { new() { Value = id }, new() { Value = amount } } };
        return await command.ExecuteNonQueryAsync();
    }

    public static async Task<int> RunAsync(TransactionContext tx, string sql)
    {
        await using var command = new NpgsqlCommand(sql, tx.Connection);
        return await command.ExecuteNonQueryAsync();
    }
}
