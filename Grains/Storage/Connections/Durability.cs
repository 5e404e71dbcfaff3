using Npgsql;

namespace Actors.Storage;

/// <summary>What a commit has reached when its answer comes: the disk of Postgres, at least.</summary>
internal static class Durability
{
    private static readonly string RaiseSynchronousCommit = SqlText.Get("raise_synchronous_commit");
    private static readonly string ReadDurability = SqlText.Get("read_durability");

    /// <summary>Sees to it on each connection of the pool, once: its sessions must not be reset (<c>NoResetOnClose</c>).</summary>
    /// <param name="then">What else a new connection needs.</param>
    public static NpgsqlDataSourceBuilder Durable(this NpgsqlDataSourceBuilder pool, Action<NpgsqlConnection>? then = null) =>
        pool.UsePhysicalConnectionInitializer(
        connection =>
        {
            using var command = new NpgsqlCommand(RaiseSynchronousCommit, connection);
            command.ExecuteNonQuery();
            then?.Invoke(connection);
        },
        async connection =>
        {
            await using var command = new NpgsqlCommand(RaiseSynchronousCommit, connection);
            await command.ExecuteNonQueryAsync();
            then?.Invoke(connection);
        });

    /// <summary>The settings that are off and must not be, which people alone can mend.</summary>
    public static ValueTask<List<string>> OffAsync(EngineDatabase database) => database.QueryAsync(
        database.Engine,
        "read durability",
        batch => batch.Add(ReadDurability),
        async reader =>
        {
            var off = new List<string>();
            while (await reader.ReadAsync())
            {
                off.Add(reader.GetString(0));
            }

            return off;
        });
}
