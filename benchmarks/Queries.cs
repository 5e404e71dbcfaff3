using System.Diagnostics;
using Npgsql;

namespace Actors.Benchmarks;

/// <summary>What the benchmarks ask the database beside the engine.</summary>
internal static class Queries
{
    public static async Task<T> ScalarAsync<T>(this NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Looks until the query gives true.</summary>
    public static async Task UntilAsync(this NpgsqlDataSource source, string sql, TimeSpan every, TimeSpan limit)
    {
        for (var watch = Stopwatch.StartNew(); !await source.ScalarAsync<bool>(sql);)
        {
            if (watch.Elapsed > limit)
            {
                throw new TimeoutException($"Never true: {sql}");
            }

            await Task.Delay(every);
        }
    }
}
