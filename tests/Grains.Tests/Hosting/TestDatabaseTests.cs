using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Hosting;

[EachPostgres]
public sealed class TestDatabaseTests
{
    private static int _migrations;

    [Fact]
    public async Task Databases_of_one_schema_are_clones_of_a_template_that_is_migrated_once_and_share_no_rows()
    {
        await using var first = new Migrated();
        await using var second = new Migrated();
        await Task.WhenAll(first.InitializeAsync().AsTask(), second.InitializeAsync().AsTask());

        await using var insert = first.DataSource.CreateCommand("insert into thing values (1)");
        await insert.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);

        Assert.Equal(1, await CountAsync(first));
        Assert.Equal(0, await CountAsync(second));
        Assert.Equal(1, _migrations);
        await using var drop = first.DataSource.CreateCommand($"drop database {first.Template}");
        await drop.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
    }

    private static async Task<long> CountAsync(TestDatabase database)
    {
        await using var count = database.DataSource.CreateCommand("select count(*) from thing");
        return (long)(await count.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }

    private sealed class Migrated() : TestDatabase(MigrateAsync, $"thing of {Schema}")
    {
        private static readonly Guid Schema = Guid.NewGuid();

        private static async Task MigrateAsync(NpgsqlDataSource source, CancellationToken cancellation)
        {
            Interlocked.Increment(ref _migrations);
            await using var create = source.CreateCommand("create table thing (id int)");
            await create.ExecuteNonQueryAsync(cancellation);
        }
    }
}
