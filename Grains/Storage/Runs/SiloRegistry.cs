using Npgsql;
using NpgsqlTypes;
using static Actors.Storage.BatchStatement;

namespace Actors.Storage;

/// <summary>Who is alive, by the database's word. A silo that is declared dead never comes back under its id: its process starts anew with
/// another.</summary>
public static class SiloRegistry
{
    private static readonly string RegisterSilo = SqlText.Get("register_silo");
    private static readonly string DeclareSiloDead = SqlText.Get("declare_silo_dead");
    private static readonly string RemoveSilo = SqlText.Get("remove_silo");
    private static readonly string FindSilos = SqlText.Get("find_silos");
    private static readonly string ForgetSilos = SqlText.Get("forget_silos");

    /// <summary>
    /// Declares a silo dead: its workflows may be claimed from now on, and its open transactions are ended. For whoever knows for certain,
    /// such as a supervisor that has seen the process end.
    /// </summary>
    public static async Task DeclareDeadAsync(NpgsqlDataSource source, Guid silo, CancellationToken cancellation = default)
    {
        await using var command = source.CreateCommand(DeclareSiloDead);
        command.Parameters.Add(new NpgsqlParameter<Guid> { TypedValue = silo });
        command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = EngineDatabase.ApplicationName(silo) });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>The row by which others know this process, and its number in journals. Returns the database's time.</summary>
    /// <param name="codes">Of the types and versions that it runs.</param>
    internal static async Task<DateTimeOffset> RegisterAsync(
        EngineDatabase database, string name, string address, TimeSpan lease, int[] codes) => await database.QueryAsync(
        database.Engine,
        "register silo",
        batch => batch.Add(
            RegisterSilo,
            new NpgsqlParameter<Guid> { TypedValue = database.Silo },
            new NpgsqlParameter<string> { TypedValue = name },
            new NpgsqlParameter<string> { TypedValue = address },
            Interval(lease),
            new NpgsqlParameter<int[]> { TypedValue = codes }),
        async reader =>
        {
            database.SiloNumber = await reader.ReadAsync() ? reader.GetInt32(1)
                : throw new NpgsqlException("The silo's row was not written.");
            return reader.GetTime(0);
        });

    /// <summary>At the end of a silo that has given everything away.</summary>
    internal static async Task RemoveAsync(EngineDatabase database) => await database.ExecuteAsync(
        "remove silo", batch => batch.Add(RemoveSilo, new NpgsqlParameter<Guid> { TypedValue = database.Silo }));

    /// <summary>The leases of the silos that have, or had, these addresses.</summary>
    internal static async Task<List<SiloLease>> FindAsync(EngineDatabase database, string[] addresses) =>
        addresses.Length == 0 ? [] : await database.QueryAsync(
            database.Engine,
            "find silos",
            batch => batch.Add(FindSilos,
                new NpgsqlParameter<string[]> { TypedValue = addresses, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text }),
            async reader =>
            {
                var found = new List<SiloLease>();
                while (await reader.ReadAsync())
                {
                    found.Add(new SiloLease(
                        reader.GetGuid(0), reader.GetString(1), reader.GetTime(2), reader.GetBoolean(3), reader.GetBoolean(4)));
                }

                return found;
            });

    /// <summary>Of the dead, those that own nothing any more.</summary>
    internal static async Task ForgetAsync(EngineDatabase database, CancellationToken stop) =>
        await database.ExecuteAsync("forget silos", batch => batch.Add(ForgetSilos), stop);
}

/// <summary>A row of actors.silos.</summary>
internal sealed record SiloLease(Guid Id, string Address, DateTimeOffset AliveUntil, bool Dead, bool Expired);
