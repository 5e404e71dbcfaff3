using System.Diagnostics;
using System.Globalization;
using Npgsql;

namespace Actors.Benchmarks;

public interface ISleeper : IWorkflow<DateTimeOffset, double>;

/// <summary>Sleeps until a moment, and tells how late it woke, in milliseconds by the database's clock.</summary>
public sealed class Sleeper : Workflow<DateTimeOffset, double>, ISleeper
{
    protected override async Task<double> RunAsync(DateTimeOffset input)
    {
        await SleepUntil(input);
        return (Now - input).TotalMilliseconds;
    }
}

/// <summary>Many workflows asleep: what they cost a silo and the database, what an idle silo sends, and that all wake.</summary>
internal static class Sleepers
{
    // More are not woken: that would take longer than all else.
    private const int WokenMax = 200_000;

    public static async Task<string> MeasureAsync(SiloUnderTest silo, string connectionString, int count)
    {
        var text = new Lines($"{count:N0} sleeping workflows");
        var before = Heap();
        text.Add($"before: {Memory()}; {await RowsAsync(silo)}");
        var due = DateTimeOffset.UtcNow + (count <= WokenMax ? TimeSpan.FromSeconds(60 + (count / 1000)) : TimeSpan.FromDays(1));
        var watch = Stopwatch.StartNew();
        await StartAsync(silo, connectionString, count, due);
        text.Add($"started in {watch.Elapsed.TotalSeconds:0.0} s, due {(due - DateTimeOffset.UtcNow).TotalSeconds:0} s from now");
        await silo.UntilAsync($"select count(*) = {count} and not exists (select from actors.runs where owner is not null) from actors.timers", TimeSpan.FromMinutes(20));
        text.Add($"all asleep after {watch.Elapsed.TotalSeconds:0.0} s: {Memory()}; {await RowsAsync(silo)}");
        text.Add($"idle: {await SiloUnderTest.CommandsPerSecondAsync(TimeSpan.FromSeconds(45)):0.0} statements/s sent to Postgres by the silo, Orleans included");
        text.Add($"45 s at rest: {Memory()}, {(Heap() - before) / count:0} bytes of heap a workflow more than before");
        if (count > WokenMax)
        {
            return text.ToString();
        }

        await silo.UntilAsync("select not exists (select from actors.runs where status = 0)", TimeSpan.FromSeconds(300));
        var ended = DateTimeOffset.UtcNow - due;
        text.Add($"all awake and ended {ended.TotalSeconds:0.0} s after the moment; late in ms: {await silo.ScalarAsync<string>(Lateness)}");
        await silo.UntilAsync("select not exists (select from actors.timers)");
        text.Add($"after: {Memory()}; {await RowsAsync(silo)}");
        return text.ToString();
    }

    private static async Task StartAsync(SiloUnderTest silo, string connectionString, int count, DateTimeOffset due)
    {
        await using var source = NpgsqlDataSource.Create(connectionString + ";Command Timeout=600");
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await silo.Workflows.StartManyAsync<ISleeper, DateTimeOffset>(Enumerable.Range(0, count).Select(n => KeyValuePair.Create($"sleeper-{n}", due)), transaction);
        await transaction.CommitAsync();
    }

    private const string Lateness =
        """
        select 'min ' || min(l)::numeric(12,1) || ', p50 ' || (percentile_cont(0.5) within group (order by l))::numeric(12,1) || ', p99 '
            || (percentile_cont(0.99) within group (order by l))::numeric(12,1) || ', count ' || count(*)
        from (select (payload #>> '{}')::float8 as l from actors.journal where kind = 11) late
        """;

    private static async Task<string> RowsAsync(SiloUnderTest silo) => await silo.ScalarAsync<string>(
        "select 'rows: workflows ' || (select count(*) from actors.runs) || ', running ' || (select count(*) from actors.runs where status = 0) || ', in memory ' || (select count(*) from actors.runs where owner is not null) || ', timers ' || (select count(*) from actors.timers) || ', journal ' || (select count(*) from actors.journal)");

    private static string Memory()
    {
        using var process = Process.GetCurrentProcess();
        return string.Create(CultureInfo.InvariantCulture, $"heap {Heap() / 1e6:0} MB, resident {process.WorkingSet64 / 1e6:0} MB");
    }

    private static double Heap()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        return GC.GetTotalMemory(forceFullCollection: true);
    }
}
