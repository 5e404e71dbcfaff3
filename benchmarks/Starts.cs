using System.Diagnostics;
using Npgsql;

namespace Actors.Benchmarks;

/// <summary>A million starts in one transaction: how long, and how much memory it took here and in the server.</summary>
internal static class Starts
{
    public static async Task<string> MeasureAsync(SiloUnderTest silo, string connectionString, int count)
    {
        var text = new Lines($"{count:N0} starts in one transaction");
        await using var source = NpgsqlDataSource.Create(connectionString + ";Command Timeout=600");
        await StartAsync(silo, source, 10_000, "warm", commits: false);
        using var process = Process.GetCurrentProcess();
        var before = process.WorkingSet64;
        var watch = Stopwatch.StartNew();
        var made = await StartAsync(silo, source, count, "bulk", commits: true);
        text.Add($"{made:N0} workflows started in one transaction in {watch.Elapsed.TotalSeconds:F1} s");
        process.Refresh();
        text.Add($"memory of this process: {before / 1048576:N0} MiB before, {process.PeakWorkingSet64 / 1048576:N0} MiB at most");
        watch.Restart();
        const string Left = "select not exists (select from actors.runs where id like 'bulk-%' and status = 0)";
        await silo.UntilAsync(Left, TimeSpan.FromHours(1));
        process.Refresh();
        text.Add($"all ended {watch.Elapsed.TotalSeconds:F1} s later, {made / watch.Elapsed.TotalSeconds:N0} a second; memory {process.PeakWorkingSet64 / 1048576:N0} MiB at most");
        return text.ToString();
    }

    private static async Task<long> StartAsync(SiloUnderTest silo, NpgsqlDataSource source, int count, string name, bool commits)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        var made = await silo.Workflows.StartManyAsync<IOneStep, int>(Enumerable.Range(0, count).Select(n => KeyValuePair.Create($"{name}-{n}", n)), transaction);
        await (commits ? transaction.CommitAsync() : transaction.RollbackAsync());
        return made;
    }
}
