using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>Migrations that build an index outside of a transaction. Builds are held open by a transaction of the test that has written to
/// the table: Postgres waits for it.</summary>
[EachPostgres]
public sealed class OnlineIndexTests : IAsyncLifetime
{
    private const string Recorded = "select count(*) from actors.migrations where number = 9000";
    private const string IsValid =
        "select coalesce((select indisvalid from pg_index where indexrelid = to_regclass('actors.things_kind')), false)";
    private const string Oid = "select 'actors.things_kind'::regclass::oid";
    private const string Builds = "select count(*) from pg_stat_progress_create_index where datname = current_database()";
    private const string Held = $"{Builds} and phase = 'waiting for writers before build' having count(*) = 1";
    private const string Builder = "select pid from pg_stat_progress_create_index where datname = current_database()";

    private static readonly Migration Index = Online("create index concurrently things_kind on actors.things (kind);");

    private readonly FreshDatabase _database = new();
    private NpgsqlConnection _writer = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        await Migrator.MigrateAsync(_database.DataSource, Cancellation);
        await _database.ExecuteAsync(
            "create table actors.things (kind int); insert into actors.things select n from generate_series(1, 1000) n");
        _writer = await _database.DataSource.OpenConnectionAsync(Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _writer.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Two_migrators_build_an_index_once_and_the_table_is_written_meanwhile()
    {
        await HoldAsync();
        var (first, second) = (new StatementProbe(), new StatementProbe());
        var later = new Migration(9001, "test", "create table actors.later ()");
        var both = new[] { first, second }.Select(probe => MigrateAsync([Index, later], probe)).ToArray();
        await UntilAsync(Held, "one of them builds");
        await UntilAsync(() => first.RoundTrips > 4 || second.RoundTrips > 4, "the other has asked for its turn several times");
        var (oid, builder) = (await _database.ScalarAsync<uint>(Oid), await _database.ScalarAsync<int>(Builder));
        await _database.ExecuteAsync("insert into actors.things values (1001)");
        await LetGoAsync();
        await Task.WhenAll(both);

        Assert.NotEqual(0, builder);
        Assert.Equal(oid, await _database.ScalarAsync<uint>(Oid));
        await AssertBuiltAsync();
        Assert.True(await _database.ScalarAsync<bool>("select to_regclass('actors.later') is not null"));
    }

    [Fact]
    public async Task A_build_whose_backend_is_ended_is_begun_anew_by_who_waits()
    {
        await HoldAsync();
        var killed = MigrateAsync([Index]);
        await UntilAsync(Held, "the first builds");
        var probe = new StatementProbe();
        var waits = MigrateAsync([Index], probe);
        await UntilAsync(() => probe.RoundTrips > 1, "the second has asked for its turn");
        var left = await _database.ScalarAsync<uint>(Oid);
        await _database.ExecuteAsync($"select pg_terminate_backend(({Builder}), 10000)");
        var error = await Assert.ThrowsAsync<MigrationFailedException>(() => killed);
        Assert.True(error.IsTransient);

        var again = MigrateAsync([Index]);
        await UntilAsync(
            "select count(*) from pg_stat_activity where query like 'drop index%' and wait_event_type = 'Lock' having count(*) = 1",
            "one of them drops what is left");
        Assert.False(await _database.ScalarAsync<bool>(IsValid));
        await LetGoAsync();
        await Task.WhenAll(waits, again);

        Assert.NotEqual(left, await _database.ScalarAsync<uint>(Oid));
        await AssertBuiltAsync();
    }

    [Fact]
    public async Task A_build_of_a_migrator_that_is_gone_is_waited_for_and_its_index_only_recorded()
    {
        await HoldAsync();
        await using var orphan = await _database.DataSource.OpenConnectionAsync(Cancellation); // Its client will not record anything.
        await using var build = new NpgsqlCommand(Index.Online!.Statement, orphan) { CommandTimeout = 0 };
        var built = build.ExecuteNonQueryAsync(Cancellation);
        await UntilAsync(Held, "it builds");
        var oid = await _database.ScalarAsync<uint>(Oid);
        var probe = new StatementProbe();
        var waits = MigrateAsync([Index], probe);
        await UntilAsync(() => probe.RoundTrips > 2, "the migrator has looked several times");
        await LetGoAsync();
        await Task.WhenAll(built, waits);

        Assert.Equal(oid, await _database.ScalarAsync<uint>(Oid));
        await AssertBuiltAsync();
    }

    [Fact]
    public async Task A_cancelled_build_leaves_an_index_that_is_not_used_and_the_next_run_builds_it_anew()
    {
        await HoldAsync();
        using var stop = new CancellationTokenSource();
        var cancelled = MigrateAsync([Index], cancellation: stop.Token);
        await UntilAsync(Held, "it builds");
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        await UntilAsync($"{Builds} having count(*) = 0", "the server has stopped it");
        var left = await _database.ScalarAsync<uint>(Oid);
        Assert.False(await _database.ScalarAsync<bool>(IsValid));
        await LetGoAsync();
        await MigrateAsync([Index]);

        Assert.NotEqual(left, await _database.ScalarAsync<uint>(Oid));
        await AssertBuiltAsync();
    }

    [Fact]
    public async Task An_index_that_was_built_and_not_recorded_is_only_recorded()
    {
        await _database.ExecuteAsync(Index.Online!.Statement);
        var oid = await _database.ScalarAsync<uint>(Oid);
        await MigrateAsync([Index]);

        Assert.Equal(oid, await _database.ScalarAsync<uint>(Oid));
        await AssertBuiltAsync();
    }

    [Fact]
    public async Task A_unique_index_that_meets_duplicates_fails_and_is_built_when_they_are_gone()
    {
        var unique = Online("create unique index concurrently things_kind on actors.things (kind) where kind > 0;");
        await _database.ExecuteAsync("insert into actors.things values (7)");
        for (var run = 1; run <= 2; run++)
        {
            var error = await Assert.ThrowsAsync<MigrationFailedException>(() => MigrateAsync([unique]));
            Assert.Contains("Migrations/9000_test.sql failed on database", error.Message, StringComparison.Ordinal);
            Assert.Contains("is built anew by the next run: 23505", error.Message, StringComparison.Ordinal);
            Assert.False(error.IsTransient);
            Assert.False(await _database.ScalarAsync<bool>(IsValid));
            Assert.Equal(0, await _database.ScalarAsync<long>(Recorded));
        }
        await _database.ExecuteAsync("delete from actors.things where kind = 7");
        await MigrateAsync([unique]);

        await AssertBuiltAsync();
        Assert.True(await _database.ScalarAsync<bool>($"select indisunique from pg_index where indexrelid = ({Oid})"));
    }

    [Fact]
    public async Task A_build_knows_no_time_outs_and_a_pool_of_one_connection_is_enough()
    {
        await using var limited = NpgsqlDataSource.Create(new NpgsqlConnectionStringBuilder(_database.ConnectionString)
        {
            MaxPoolSize = 1, NoResetOnClose = true, CommandTimeout = 1, Options = "-c statement_timeout=300 -c lock_timeout=300",
        });
        await HoldAsync();
        var migrates = Migrator.MigrateAsync(limited, [.. Migration.Embedded, Index], 1, Cancellation).WaitAsync(TimeSpan.FromMinutes(1));
        await UntilAsync(
            $"select count(*) from pg_stat_activity where pid = ({Builder}) and clock_timestamp() - query_start > interval '2 seconds' "
            + "having count(*) = 1", "it builds for longer than any limit");
        Assert.Equal(0, await _database.ScalarAsync<long>("""
            select count(*) from pg_stat_activity
            where datname = current_database() and state = 'idle in transaction' and pid <> pg_backend_pid() and query not like 'insert%'
            """));
        await LetGoAsync();
        await migrates;

        await AssertBuiltAsync();
        await using var left = limited.CreateCommand("select current_setting('statement_timeout') || current_setting('lock_timeout')");
        Assert.Equal("300ms300ms", await left.ExecuteScalarAsync(Cancellation));
    }

    [Theory]
    [InlineData("create index things_kind on actors.things (kind);")]
    [InlineData("create index concurrently if not exists things_kind on actors.things (kind);")]
    [InlineData("create index concurrently on actors.things (kind);")]
    [InlineData("create index concurrently things_kind on things (kind);")]
    [InlineData("create index concurrently things_kind on actors.things (kind)")]
    [InlineData("create index concurrently things_kind on actors.things (kind); select 1;")]
    [InlineData("select 1; create index concurrently things_kind on actors.things (kind);")]
    [InlineData("drop index concurrently actors.things_kind;")]
    [InlineData("")]
    public void An_online_file_of_other_contents_is_refused(string sql)
    {
        var error = Assert.Throws<FormatException>(() => Online(sql));
        Assert.StartsWith("Migrations/9000_test.sql begins with '-- online'", error.Message, StringComparison.Ordinal);
        Assert.Contains("'create [unique] index concurrently NAME on actors.TABLE …;'", error.Message, StringComparison.Ordinal);
    }

    private static Migration Online(string sql) => new(9000, "test", $"-- online\n-- Why.\n{sql}\n");

    private Task MigrateAsync(Migration[] more, StatementProbe? probe = null, CancellationToken? cancellation = null) =>
        Migrator.MigrateAsync(_database.DataSource, [.. Migration.Embedded, .. more], 1, cancellation ?? Cancellation, probe)
            .WaitAsync(TimeSpan.FromMinutes(1));

    private Task HoldAsync() => ExecuteAsync("begin; insert into actors.things values (0)");

    private Task LetGoAsync() => ExecuteAsync("commit");

    private async Task AssertBuiltAsync()
    {
        Assert.True(await _database.ScalarAsync<bool>(IsValid));
        Assert.Equal(1, await _database.ScalarAsync<long>(Recorded));
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = new NpgsqlCommand(sql, _writer);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    private Task UntilAsync(string rows, string what) => UntilAsync(async () =>
    {
        await using var command = _database.DataSource.CreateCommand(rows);
        return await command.ExecuteScalarAsync(Cancellation) is not null;
    }, what);

    private static Task UntilAsync(Func<bool> isSo, string what) => UntilAsync(() => Task.FromResult(isSo()), what);

    private static async Task UntilAsync(Func<Task<bool>> isSo, string what)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await isSo())
        {
            Assert.False(limit.IsCancellationRequested, $"It did not come that {what}.");
            await Task.Delay(10, Cancellation);
        }
    }
}
