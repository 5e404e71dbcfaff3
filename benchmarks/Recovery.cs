using System.Diagnostics;
using Npgsql;

namespace Actors.Benchmarks;

/// <summary>Ten thousand workflows in the memory of a silo whose process is killed, and how fast the next one ends them; beside the same
/// work without a death.</summary>
internal static class Recovery
{
    public static async Task<string> MeasureAsync(string connectionString, int count)
    {
        var text = new Lines($"Recovery: {count:N0} ten-step workflows in flight, the only silo killed");
        await using var source = NpgsqlDataSource.Create(connectionString + ";Command Timeout=600");
        for (var round = 1; round <= 3; round++)
        {
            var calm = await RunAsync(connectionString, source, $"calm-{round}", count, kills: false);
            var killed = await RunAsync(connectionString, source, $"killed-{round}", count, kills: true);
            text.Add($"round {round}: without a death {calm.Rate:N0} steps/s; after one {killed.Rate:N0} steps/s, {killed.Rate / calm.Rate:0.00} of it ({killed.Left:N0} steps left at the death; first resumed {killed.FirstSeconds:0.0} s, all ended {killed.LastSeconds:0.0} s after the new process was started)");
        }

        return text.ToString();
    }

    /// <summary>Work that a process finds in the database when it starts: runs that nobody had yet, or those of a silo that was killed
    /// halfway.</summary>
    private static async Task<Run> RunAsync(string connectionString, NpgsqlDataSource source, string name, int count, bool kills)
    {
        await using (var make = source.CreateCommand("select actors.start_workflows('default', 'TenSteps', array(select $1 || '-' || n from generate_series(1, $2) n), array(select to_json(n) from generate_series(1, $2) n), null)"))
        {
            make.Parameters.Add(new NpgsqlParameter<string> { TypedValue = name });
            make.Parameters.Add(new NpgsqlParameter<int> { TypedValue = count });
            await make.ExecuteNonQueryAsync();
        }

        // Positions 1 to 10 are steps, 11 the end.
        var steps = $"select coalesce(sum(least(position, 10)), 0)::bigint from actors.runs where id like '{name}-%'";
        if (kills)
        {
            await using var first = await ChildSilo.StartAsync(connectionString);
            await UntilAsync(source, $"select not exists (select from actors.runs where id like '{name}-%' and epoch = 0)");
            await first.KillAsync();
        }

        var before = await source.ScalarAsync<long>(steps);
        var watch = Stopwatch.StartNew();
        await using var silo = await ChildSilo.StartAsync(connectionString);
        await UntilAsync(source, $"select ({steps}) > {before}");
        var resumed = watch.Elapsed.TotalSeconds;
        await UntilAsync(source, $"select not exists (select from actors.runs where id like '{name}-%' and status = 0)");
        var (left, last) = ((10L * count) - before, watch.Elapsed.TotalSeconds);
        return new Run(left, resumed, last, left / (last - resumed));
    }

    private static Task UntilAsync(NpgsqlDataSource source, string condition) => source.UntilAsync(condition, TimeSpan.FromMilliseconds(50), TimeSpan.FromMinutes(5));

    private sealed record Run(long Left, double FirstSeconds, double LastSeconds, double Rate);
}
