using System.Data;
using Npgsql;

namespace Actors.Storage;

/// <summary>Brings schema <c>actors</c> to this binary's shape: each numbered file once, whole or not at all, however many silos start
/// at a time. Files that begin with <c>-- online</c> build an index outside of a transaction (<see cref="OnlineIndex"/>).</summary>
public static class Migrator
{
    /// <summary>What <c>actors.schema_version.oldest_binary</c> is compared with. A migration that older binaries cannot live with raises
    /// the row, and the release that brings it raises this constant.</summary>
    public const int BinaryGeneration = 1;

    // Between two looks whether another migrator has done its work.
    private static readonly TimeSpan PauseMin = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan PauseMax = TimeSpan.FromSeconds(1);

    /// <summary>Changes whenever any migration changes: names a template database or a cached schema.</summary>
    public static string Fingerprint { get; } =
        Migration.Hash(string.Concat(Migration.Embedded.Select(migration => $"{migration.File} {migration.Checksum}\n")));

    /// <summary>Returns when every migration of this binary is committed, whoever applied it. Without work to do it only reads.
    /// Waits without bound for another migrator, which holds the turn for one migration at a time, and, where an index is built online, for
    /// the transactions of others. A build that is cancelled leaves an index that is not used and that the next run builds anew.</summary>
    /// <exception cref="DatabaseEncodingException">The database has another encoding than UTF8.</exception>
    /// <exception cref="ClientEncodingException">The connection string asks for another one.</exception>
    /// <exception cref="SchemaTooNewException">The schema asks for a newer binary.</exception>
    /// <exception cref="MigrationChangedException">An applied migration has another text in this binary.</exception>
    /// <exception cref="MigrationFailedException">A migration failed; it is rolled back, or, where it builds an index online, built
    /// anew by the next run; those before it stay.</exception>
    /// <exception cref="NpgsqlException">The database cannot be reached.</exception>
    public static Task MigrateAsync(NpgsqlDataSource dataSource, CancellationToken cancellation) =>
        MigrateAsync(dataSource, Migration.Embedded, BinaryGeneration, cancellation);

    /// <summary>The same, its round trips counted, and its process killed where a crash test says.</summary>
    internal static Task MigrateAsync(NpgsqlDataSource dataSource, StatementProbe probe, CancellationToken cancellation) =>
        MigrateAsync(dataSource, Migration.Embedded, BinaryGeneration, cancellation, probe);

    /// <summary>Returns when the schema serves this binary, and never writes. Migrations of newer binaries do not matter.</summary>
    /// <exception cref="SchemaMissingException">There is no schema.</exception>
    /// <exception cref="SchemaBehindException">A migration of this binary is not applied.</exception>
    /// <exception cref="DatabaseEncodingException">The database has another encoding than UTF8.</exception>
    /// <exception cref="ClientEncodingException">The connection string asks for another one.</exception>
    /// <exception cref="SchemaTooNewException">The schema asks for a newer binary.</exception>
    /// <exception cref="MigrationChangedException">An applied migration has another text in this binary.</exception>
    public static Task CheckAsync(NpgsqlDataSource dataSource, CancellationToken cancellation) =>
        CheckAsync(dataSource, Migration.Embedded, BinaryGeneration, cancellation);

    internal static async Task MigrateAsync(
        NpgsqlDataSource dataSource, IReadOnlyList<Migration> migrations, int generation, CancellationToken cancellation,
        StatementProbe? probe = null)
    {
        await using (var connection = await OpenAsync(dataSource, cancellation))
            if (Pending(connection, migrations, generation, await ReadAsync(connection, cancellation)).Count == 0) return;
        var pause = PauseMin;
        while (await ApplyNextAsync(dataSource, migrations, generation, probe ?? new StatementProbe(), cancellation) is var turn
            && turn != Turn.NothingLeft)
        {
            if (turn == Turn.Used) continue;
            await Task.Delay(pause, cancellation);
            pause = pause < PauseMax ? 2 * pause : pause;
        }
    }

    internal static async Task CheckAsync(
        NpgsqlDataSource dataSource, IReadOnlyList<Migration> migrations, int generation, CancellationToken cancellation)
    {
        await using var connection = await OpenAsync(dataSource, cancellation);
        var schema = await ReadAsync(connection, cancellation);
        var pending = Pending(connection, migrations, generation, schema);
        if (schema is null) throw new SchemaMissingException(connection.Database);
        if (pending.Count > 0) throw new SchemaBehindException(connection.Database, pending);
    }

    /// <summary>A connection that can carry every name to a database that can hold it: the server says both encodings when it lets a
    /// connection in.</summary>
    private static async Task<NpgsqlConnection> OpenAsync(NpgsqlDataSource dataSource, CancellationToken cancellation)
    {
        var connection = await dataSource.OpenConnectionAsync(cancellation);
        var (server, client) = (connection.PostgresParameters["server_encoding"], connection.PostgresParameters["client_encoding"]);
        var text = new NpgsqlConnectionStringBuilder(connection.ConnectionString).Encoding;
        if (server == "UTF8" && client == "UTF8" && text.Equals("UTF8", StringComparison.OrdinalIgnoreCase)) return connection;
        var database = connection.Database;
        await connection.DisposeAsync();
        throw server == "UTF8" ? new ClientEncodingException(database, client, text) : new DatabaseEncodingException(database, server);
    }

    /// <summary>Goes on with the first pending migration: applies it in a transaction of its own, or does what comes next to an online
    /// index. Waits for nobody's turn.</summary>
    private static async Task<Turn> ApplyNextAsync(
        NpgsqlDataSource dataSource, IReadOnlyList<Migration> migrations, int generation, StatementProbe probe,
        CancellationToken cancellation)
    {
        await using var connection = await OpenAsync(dataSource, cancellation);
        await using var transaction = await connection.BeginTransactionAsync(IsolationLevel.ReadCommitted, cancellation);
        if (!await TryLockAsync(connection, probe, cancellation)) return Turn.Elsewhere;
        var pending = Pending(connection, migrations, generation, await ReadAsync(connection, cancellation));
        if (pending.Count == 0) return Turn.NothingLeft;
        var next = pending[0];
        try
        {
            if (next.Online is not { } index)
            {
                await ExecuteAsync(connection, probe, next.Sql, cancellation);
            }
            else if (await index.FindAsync(connection, cancellation) is var found && found != IndexState.Valid)
            {
                if (found == IndexState.UnderWay) return Turn.Elsewhere;
                await index.WorkAsync(found, transaction, probe, cancellation);
                return Turn.Used; // What has become of it is seen in the next turn, as by everyone.
            }
            await ExecuteAsync(connection, probe, SqlText.Get("record_migration"), cancellation, next.Number, next.Name, next.Checksum);
        }
        catch (NpgsqlException error)
        {
            throw new MigrationFailedException(connection.Database, next, error);
        }
        return await probe.AroundAsync("migrate", async () =>
        {
            await transaction.CommitAsync(cancellation);
            return Turn.Used;
        });
    }

    private static List<Migration> Pending(NpgsqlConnection connection, IReadOnlyList<Migration> migrations, int generation, Schema? schema)
    {
        if (schema is null) return [.. migrations];
        if (schema.OldestBinary > generation) throw new SchemaTooNewException(connection.Database, schema.OldestBinary, generation);
        foreach (var migration in migrations)
            if (schema.Checksums.TryGetValue(migration.Number, out var applied) && applied != migration.Checksum)
                throw new MigrationChangedException(connection.Database, migration);
        return [.. migrations.Where(migration => !schema.Checksums.ContainsKey(migration.Number))];
    }

    private static async Task<Schema?> ReadAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var exists = new NpgsqlCommand(SqlText.Get("schema_exists"), connection);
        if (!(bool)(await exists.ExecuteScalarAsync(cancellation))!) return null;
        await using var read = new NpgsqlCommand(SqlText.Get("read_schema"), connection);
        await using var reader = await read.ExecuteReaderAsync(cancellation);
        var schema = new Schema();
        while (await reader.ReadAsync(cancellation))
        {
            schema.OldestBinary = reader.GetInt32(0);
            schema.Checksums.Add(reader.GetInt32(1), reader.GetString(2));
        }
        return schema;
    }

    private static async Task<bool> TryLockAsync(NpgsqlConnection connection, StatementProbe probe, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(SqlText.Get("lock_migrations"), connection);
        return await probe.AroundAsync("migrate", () => command.ExecuteScalarAsync(cancellation)) is true;
    }

    private static async Task ExecuteAsync(
        NpgsqlConnection connection, StatementProbe probe, string sql, CancellationToken cancellation, params object[] values)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        foreach (var value in values) command.Parameters.Add(new NpgsqlParameter { Value = value });
        await probe.AroundAsync("migrate", () => command.ExecuteNonQueryAsync(cancellation), mayBeLong: true);
    }

    private enum Turn
    {
        Used,

        /// <summary>Another migrator has it, or a build that somebody began is under way.</summary>
        Elsewhere,

        NothingLeft,
    }

    private sealed class Schema
    {
        public int OldestBinary { get; set; }
        public Dictionary<int, string> Checksums { get; } = [];
    }
}
