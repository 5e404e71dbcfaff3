using System.Globalization;
using Npgsql;

namespace Actors.Support;

/// <summary>The clock of a test's database. It goes at its own pace until it is moved; the engine hears of it with its next
/// statement.</summary>
public sealed class TestClock
{
    private readonly NpgsqlDataSource _source;

    private TestClock(NpgsqlDataSource source) => _source = source;

    /// <summary>Makes the database's clock movable; every class has a database, and so a clock, of its own.</summary>
    public static async Task<TestClock> CreateAsync(TestDatabase database)
    {
        var clock = new TestClock(database.DataSource);
        await clock.ExecuteAsync("create table if not exists public.test_clock (ahead interval not null)");
        await clock.ExecuteAsync("insert into public.test_clock select '0' where not exists (select from public.test_clock)");
        await clock.ExecuteAsync(
            "create or replace function actors.now() returns timestamptz language sql stable parallel safe "
            + "return statement_timestamp() + (select ahead from public.test_clock)");
        return clock;
    }

    /// <summary>Moves the clock on, or back.</summary>
    public Task MoveAsync(TimeSpan by) => ExecuteAsync(
        $"update public.test_clock set ahead = ahead + interval '{by.TotalMilliseconds.ToString(CultureInfo.InvariantCulture)} "
            + $"milliseconds'");

    public async Task<DateTimeOffset> NowAsync()
    {
        await using var command = _source.CreateCommand("select actors.now()");
        return new DateTimeOffset((DateTime)(await command.ExecuteScalarAsync())!);
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = _source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
