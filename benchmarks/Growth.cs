using System.Diagnostics;
using Npgsql;

namespace Actors.Benchmarks;

/// <summary>The rate on empty tables, after many workflows that ended, and under a snapshot that stays open; messages are delivered meanwhile.</summary>
internal static class Growth
{
    private const int Load = 256;
    private const long BytesPerWorkflow = 1500; // Rows, indexes and what vacuum has not taken yet; seen at a million.
    private static readonly TimeSpan Time = TimeSpan.FromSeconds(15);

    /// <summary>Bytes that it needs on the disk of the database.</summary>
    public static long BytesNeeded(int count) => (count * BytesPerWorkflow) + 8_000_000_000; // WAL, and what the held snapshot keeps.

    public static async Task<string> MeasureAsync(SiloUnderTest silo, string connectionString, int count, TimeSpan held)
    {
        var text = new Lines($"Growth: {count:N0} workflows that ended, then a snapshot held for {held.TotalMinutes:0} minutes");
        await silo.LoadAsync(Load, Time); // Compiles and prepares.
        var empty = await RateAsync(silo);
        text.Add($"empty tables: {empty:N0} steps/s (ten-step workflows, {Load} at a time, median of 3; outbox delivered meanwhile)");
        await FillAsync(silo, count, text);
        var full = await RateAsync(silo);
        text.Add($"after {count:N0}: {full:N0} steps/s, {full / empty:0.00} of the rate on empty tables");

        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var connection = await source.OpenConnectionAsync();
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead);
        await new NpgsqlCommand("select count(*) from actors.silos", connection).ExecuteScalarAsync();
        var watch = Stopwatch.StartNew();
        double last = full;
        while (watch.Elapsed < held)
        {
            last = (await silo.LoadAsync(Load, TimeSpan.FromMinutes(1))).StepsPerSecond;
            text.Add($"snapshot held for {watch.Elapsed.TotalMinutes:0} min: {last:N0} steps/s, {last / full:0.00} of the rate before; {await SizeAsync(silo)}");
        }

        await snapshot.CommitAsync();
        var after = await RateAsync(silo);
        text.Add($"let go: {after:N0} steps/s, {after / full:0.00}");
        return text.ToString();
    }

    private static async Task FillAsync(SiloUnderTest silo, int count, Lines text)
    {
        var tenths = Stopwatch.StartNew();
        var (part, whole) = (Math.Max(1, count / 10), Stopwatch.StartNew());
        for (var made = 0; made < count; made += part)
        {
            tenths.Restart();
            await Parallel.ForAsync(made, Math.Min(count, made + part), new ParallelOptions { MaxDegreeOfParallelism = 1024 }, async (i, _) =>
            {
                var workflow = silo.Workflows.Get<IOneStep>($"growth-{i}");
                await workflow.StartAsync(i, cancellation: CancellationToken.None);
                await workflow.ResultAsync(CancellationToken.None);
            });
            text.Add($"{made + part:N0} one-step workflows: {part / tenths.Elapsed.TotalSeconds:N0} a second; {await SizeAsync(silo)}");
        }

        text.Add($"filled in {whole.Elapsed.TotalSeconds:0} s");
    }

    private static async Task<double> RateAsync(SiloUnderTest silo)
    {
        var rates = new double[3];
        for (var round = 0; round < rates.Length; round++)
        {
            rates[round] = (await silo.LoadAsync(Load, Time)).StepsPerSecond;
        }

        return Comparison.Median(rates, rate => rate);
    }

    private static Task<string> SizeAsync(SiloUnderTest silo) => silo.ScalarAsync<string>(
        "select 'database ' || pg_size_pretty(pg_database_size(current_database())) || ', workflows ' || pg_size_pretty(pg_total_relation_size('actors.workflows')) || ', outbox ' || pg_size_pretty(pg_total_relation_size('actors.outbox'))");
}
