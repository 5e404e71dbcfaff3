using System.Globalization;
using System.Text.RegularExpressions;
using Actors.Storage;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

public sealed class MigratorTests : IAsyncLifetime
{
    private const string RecordedOnce = "select string_agg(number::text, ',' order by number) from actors.migrations";

    private static readonly string EmbeddedNumbers = string.Join(',', Migration.Embedded.Select(migration => migration.Number));

    private readonly FreshDatabase _database = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _database.InitializeAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    [Fact]
    public async Task An_empty_database_gets_every_migration_and_a_second_run_writes_nothing()
    {
        await Migrator.MigrateAsync(_database.DataSource, Cancellation);
        const string NewestWriter = "select max(xmin::text::bigint) from actors.migrations";
        var before = await _database.ScalarAsync<long>(NewestWriter);
        await Migrator.MigrateAsync(_database.DataSource, Cancellation);
        await Migrator.CheckAsync(_database.DataSource, Cancellation);

        Assert.Equal(EmbeddedNumbers, await _database.ScalarAsync<string>(RecordedOnce));
        Assert.Equal(before, await _database.ScalarAsync<long>(NewestWriter));
    }

    [Fact]
    public async Task Eight_migrators_on_an_empty_database_apply_each_migration_once()
    {
        var migrators = Enumerable.Range(0, 8).Select(async _ =>
        {
            await using var own = NpgsqlDataSource.Create(_database.ConnectionString);
            await Migrator.MigrateAsync(own, Cancellation);
            await Migrator.CheckAsync(own, Cancellation);
        });
        await Task.WhenAll(migrators);

        Assert.Equal(EmbeddedNumbers, await _database.ScalarAsync<string>(RecordedOnce));
    }

    [Fact]
    public async Task A_migrator_killed_in_the_middle_of_a_migration_leaves_it_to_the_one_that_waits()
    {
        // The migration says its backend, then waits between its two tables for a lock that the test holds.
        var halted = Numbered(9000, """
            create table actors.first_half ();
            do $$ begin raise notice 'halted in %', pg_backend_pid(); perform pg_advisory_xact_lock(4242); end $$;
            create table actors.second_half ();
            """);
        await using var gate = await _database.DataSource.OpenConnectionAsync(Cancellation);
        await ExecuteAsync(gate, "select pg_advisory_lock(4242)");
        await using var first = new Halting(_database.ConnectionString);
        await using var second = new Halting(_database.ConnectionString);

        var killed = Migrator.MigrateAsync(first.DataSource, [.. Migration.Embedded, halted], 1, Cancellation);
        var backend = await first.Halted.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        var waits = Migrator.MigrateAsync(second.DataSource, [.. Migration.Embedded, halted], 1, Cancellation);
        Assert.False(await _database.ScalarAsync<bool>("select to_regclass('actors.first_half') is not null"));
        await _database.ExecuteAsync($"select pg_terminate_backend({backend})");
        var error = await Assert.ThrowsAsync<MigrationFailedException>(() => killed);
        await second.Halted.WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        await ExecuteAsync(gate, "select pg_advisory_unlock(4242)");
        await waits;

        Assert.True(error.IsTransient);
        Assert.Equal($"{EmbeddedNumbers},9000", await _database.ScalarAsync<string>(RecordedOnce));
        Assert.Equal(2, await _database.ScalarAsync<long>("select count(*) from pg_class where relname in ('first_half', 'second_half')"));
    }

    [Fact]
    public async Task A_failing_migration_is_rolled_back_and_named_and_those_before_it_stay()
    {
        Migration[] migrations = [.. Migration.Embedded, Numbered(9000, "create table actors.kept ()"),
            Numbered(9001, "create table actors.lost (); select 1 / 0")];
        var error = await Assert.ThrowsAsync<MigrationFailedException>(
            () => Migrator.MigrateAsync(_database.DataSource, migrations, 1, Cancellation));

        Assert.Equal("Migrations/9001_test.sql", error.File);
        Assert.Contains("9001_test.sql", error.Message, StringComparison.Ordinal);
        Assert.False(error.IsTransient);
        Assert.Equal("kept", await _database.ScalarAsync<string>(
            "select string_agg(relname, ',') from pg_class where relname in ('kept', 'lost')"));
        Assert.Equal($"{EmbeddedNumbers},9000", await _database.ScalarAsync<string>(RecordedOnce));
    }

    [Fact]
    public async Task A_changed_migration_is_named_and_nothing_is_written()
    {
        await Migrator.MigrateAsync(_database.DataSource, [.. Migration.Embedded, Numbered(9000, "select 1")], 1, Cancellation);
        Migration[] changed = [.. Migration.Embedded, Numbered(9000, "select 2"), Numbered(9001, "create table actors.lost ()")];

        var error = await Assert.ThrowsAsync<MigrationChangedException>(
            () => Migrator.MigrateAsync(_database.DataSource, changed, 1, Cancellation));
        await Assert.ThrowsAsync<MigrationChangedException>(() => Migrator.CheckAsync(_database.DataSource, changed, 1, Cancellation));

        Assert.Contains("Migrations/9000_test.sql", error.Message, StringComparison.Ordinal);
        Assert.Equal($"{EmbeddedNumbers},9000", await _database.ScalarAsync<string>(RecordedOnce));
    }

    [Fact]
    public async Task A_schema_that_asks_for_a_newer_binary_is_refused_and_nothing_is_written()
    {
        await Migrator.MigrateAsync(_database.DataSource, Cancellation);
        await _database.ExecuteAsync("update actors.schema_version set oldest_binary = 7");
        Migration[] more = [.. Migration.Embedded, Numbered(9000, "create table actors.lost ()")];

        var error = await Assert.ThrowsAsync<SchemaTooNewException>(
            () => Migrator.MigrateAsync(_database.DataSource, more, 6, Cancellation));
        await Assert.ThrowsAsync<SchemaTooNewException>(() => Migrator.CheckAsync(_database.DataSource, more, 6, Cancellation));

        Assert.Equal((7, 6), (error.OldestBinary, error.Binary));
        Assert.Contains("generation 7 on; this binary is generation 6", error.Message, StringComparison.Ordinal);
        Assert.Equal(EmbeddedNumbers, await _database.ScalarAsync<string>(RecordedOnce));
        await Migrator.MigrateAsync(_database.DataSource, more, 7, Cancellation);
    }

    [Fact]
    public async Task Migrations_that_only_a_newer_binary_knows_do_not_stop_this_one()
    {
        await Migrator.MigrateAsync(_database.DataSource, [.. Migration.Embedded, Numbered(9000, "select 1")], 1, Cancellation);

        await Migrator.CheckAsync(_database.DataSource, Cancellation);
        await Migrator.MigrateAsync(_database.DataSource, Cancellation);
    }

    [Fact]
    public async Task A_missing_or_older_schema_is_told_apart_and_not_touched()
    {
        await Assert.ThrowsAsync<SchemaMissingException>(() => Migrator.CheckAsync(_database.DataSource, Cancellation));
        Assert.False(await _database.ScalarAsync<bool>("select to_regnamespace('actors') is not null"));

        await Migrator.MigrateAsync(_database.DataSource, [Migration.Embedded[0]], 1, Cancellation);
        var error = await Assert.ThrowsAsync<SchemaBehindException>(() => Migrator.CheckAsync(_database.DataSource, Cancellation));
        Assert.Equal(Migration.Embedded.Skip(1).Select(migration => migration.File), error.Pending);
        Assert.Equal("0", await _database.ScalarAsync<string>(RecordedOnce));
    }

    [Theory]
    [InlineData("LATIN1")]
    [InlineData("SQL_ASCII")]
    public async Task A_database_of_another_encoding_is_refused_and_not_touched(string encoding)
    {
        var name = $"{new NpgsqlConnectionStringBuilder(_database.ConnectionString).Database}_other";
        await _database.ExecuteAsync($"create database {name} encoding '{encoding}' locale 'C' template template0");
        try
        {
            await using var other = NpgsqlDataSource.Create(
                new NpgsqlConnectionStringBuilder(_database.ConnectionString) { Database = name, Pooling = false });
            foreach (var open in new Func<Task>[] { () => Migrator.MigrateAsync(other, Cancellation), () =>
                Migrator.CheckAsync(other, Cancellation) })
            {
                var error = await Assert.ThrowsAsync<DatabaseEncodingException>(open);
                Assert.Equal(encoding, error.Encoding);
                Assert.Contains($"'{name}' has the encoding {encoding}", error.Message, StringComparison.Ordinal);
                Assert.Contains("create database … encoding 'UTF8' template template0", error.Message, StringComparison.Ordinal);
            }

            await using var untouched = other.CreateCommand("select to_regnamespace('actors') is null");
            Assert.True((bool)(await untouched.ExecuteScalarAsync(Cancellation))!);
        }
        finally
        {
            await _database.ExecuteAsync($"drop database {name} with (force)");
        }
    }

    [Theory]
    [InlineData("Client Encoding=LATIN1")]
    [InlineData("Encoding=iso-8859-1")]
    public async Task A_connection_of_another_encoding_is_refused_and_writes_nothing(string setting)
    {
        await using var other = NpgsqlDataSource.Create($"{_database.ConnectionString};{setting}");
        await Assert.ThrowsAsync<ClientEncodingException>(() => Migrator.MigrateAsync(other, Cancellation));
        var error = await Assert.ThrowsAsync<ClientEncodingException>(() => Migrator.CheckAsync(other, Cancellation));
        Assert.Contains(setting, error.Message, StringComparison.Ordinal);
        Assert.False(await _database.ScalarAsync<bool>("select to_regnamespace('actors') is not null"));
    }

    [Fact]
    public async Task A_schema_made_beforehand_needs_no_right_to_create_schemas()
    {
        await _database.ExecuteAsync("create schema actors authorization pg_monitor");
        await using var limited = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(_database.ConnectionString) { Options = "-c role=pg_monitor" });

        await Migrator.MigrateAsync(limited, Cancellation);
        await Migrator.CheckAsync(limited, Cancellation);
    }

    [Fact]
    public async Task A_server_connection_is_left_without_locks_and_settings()
    {
        await using var single = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(_database.ConnectionString) { MaxPoolSize = 1, NoResetOnClose = true });
        await Migrator.MigrateAsync(single, Cancellation);

        await using var left = single.CreateCommand("""
            select count(*) || current_setting('idle_in_transaction_session_timeout') || current_setting('statement_timeout')
            from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'
            """);
        Assert.Equal("000", await left.ExecuteScalarAsync(Cancellation));
    }

    [Fact]
    public void Migrations_are_numbered_without_gaps_and_the_fingerprint_covers_them()
    {
        Assert.Equal(Enumerable.Range(0, Migration.Embedded.Count), Migration.Embedded.Select(migration => migration.Number));
        Assert.Matches("^[0-9a-f]{64}$", Migrator.Fingerprint);
    }

    [Fact]
    public void A_statement_comes_without_its_header_and_an_unknown_one_is_named()
    {
        Assert.StartsWith("select exists (", SqlText.Get("schema_exists"), StringComparison.Ordinal);
        var error = Assert.Throws<ArgumentException>(() => SqlText.Get("no_such"));
        Assert.Contains("Sql/no_such.sql", error.Message, StringComparison.Ordinal);
    }

    private static Migration Numbered(int number, string sql) => new(number, "test", sql);

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    /// <summary>A data source that tells when the migration said, in a notice, that it stands in the middle.</summary>
    private sealed class Halting : ILoggerProvider, ILogger, IAsyncDisposable
    {
        private readonly TaskCompletionSource<int> _halted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ILoggerFactory _logs;

        public Halting(string connectionString)
        {
            _logs = LoggerFactory.Create(logging => logging.SetMinimumLevel(LogLevel.Debug).AddProvider(this));
            DataSource = new NpgsqlDataSourceBuilder(connectionString).UseLoggerFactory(_logs).Build();
        }

        public NpgsqlDataSource DataSource { get; }

        public Task<int> Halted => _halted.Task;

        public void Log<TState>(LogLevel level, EventId id, TState state, Exception? error, Func<TState, Exception?, string> format)
        {
            if (Regex.Match(format(state, error), "halted in ([0-9]+)") is { Success: true } match)
                _halted.TrySetResult(int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture));
        }

        public bool IsEnabled(LogLevel level) => true;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public ILogger CreateLogger(string category) => this;

        public void Dispose() { }

        public async ValueTask DisposeAsync()
        {
            await DataSource.DisposeAsync();
            _logs.Dispose();
        }
    }
}
