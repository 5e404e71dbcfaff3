using Npgsql;
using NpgsqlTypes;

namespace Actors.Storage;

/// <summary>Who is alive, by the database's word. A silo that is declared dead never comes back under its id: its process starts anew with
/// another.</summary>
public static class SiloRegistry
{
    private static readonly string RegisterSilo = SqlText.Get("register_silo");
    private static readonly string DeclareSiloDead = SqlText.Get("declare_silo_dead");
    private static readonly string RemoveSilo = SqlText.Get("remove_silo");

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

    /// <summary>The row by which others know this process. Returns the database's time.</summary>
    internal static async Task<DateTimeOffset> RegisterAsync(EngineDatabase database, string name, string address, TimeSpan lease) =>
        await database.QueryAsync(
        database.Engine,
        "register silo",
        batch => batch.Add(
            RegisterSilo,
            new NpgsqlParameter<Guid> { TypedValue = database.Silo },
            new NpgsqlParameter<string> { TypedValue = name },
            new NpgsqlParameter<string> { TypedValue = address },
            new NpgsqlParameter<TimeSpan> { TypedValue = lease, NpgsqlDbType = NpgsqlDbType.Interval }),
        async reader => await reader.ReadAsync() ? reader.GetTime(0) : throw new NpgsqlException("The silo's row was not written."));

    /// <summary>At the end of a silo that has given everything away.</summary>
    internal static async Task RemoveAsync(EngineDatabase database) => await database.ExecuteAsync(
        "remove silo", batch => batch.Add(RemoveSilo, new NpgsqlParameter<Guid> { TypedValue = database.Silo }));
}
