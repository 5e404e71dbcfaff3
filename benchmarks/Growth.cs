using System.Diagnostics;
using Npgsql;

namespace Actors.Benchmarks;

/// <summary>
/// The rate on empty tables, after many workflows that ended, and under a snapshot that stays open; messages are delivered meanwhile. The
/// machine's speed changes within minutes: so a second silo, whose database stays small, takes turns, and shares are of its rate.
/// </summary>
internal static class Growth
{
    private const int Load = 256;
    private const long BytesPerWorkflow = 1500; // Rows, indexes and what vacuum has not taken yet; seen at a million.
    private static readonly TimeSpan Time = TimeSpan.FromSeconds(15);

    /// <summary>Bytes that it needs on the disk of the database.</summary>
    public static long BytesNeeded(int count) => (count * BytesPerWorkflow) + 8_000_000_000; // WAL, and what the held snapshot keeps.

    public static async Task<string> MeasureAsync(SiloUnderTest silo, SiloUnderTest small, string connectionString, int count, TimeSpan held)
    {
        var text = new Lines($"Growth: {count:N0} workflows that ended, then a snapshot held for {held.TotalMinutes:0} minutes");
        text.Add($"Steps/s of ten-step workflows, {Load} at a time, outbox delivered meanwhile; shares are of the rate of a silo with a small database, medians of 3 turns of {Time.TotalSeconds:0} s and their range.");
        await silo.LoadAsync(Load, Time); // Compiles and prepares.
        await small.LoadAsync(Load, Time);
        text.Add($"empty tables: {await ShareAsync(silo, small)}");
        await FillAsync(silo, count, text);
        text.Add($"after {count:N0}: {await ShareAsync(silo, small)}; {await SizeAsync(silo)}");

        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var connection = await source.OpenConnectionAsync();
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead);
        await new NpgsqlCommand("select count(*) from actors.silos", connection).ExecuteScalarAsync();
        var watch = Stopwatch.StartNew();
        while (watch.Elapsed < held)
        {
            var share = await ShareAsync(silo, small);
            text.Add($"snapshot held for {watch.Elapsed.TotalMinutes:0.0} min: {share}; {await SizeAsync(silo)}");
        }

        await snapshot.CommitAsync();
        text.Add($"let go: {await ShareAsync(silo, small)}");
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

    private static async Task<string> ShareAsync(SiloUnderTest silo, SiloUnderTest small)
    {
        var rounds = new List<(double Rate, double Share)>();
        for (var round = 0; round < 3; round++)
        {
            var rate = (await silo.LoadAsync(Load, Time)).StepsPerSecond;
            rounds.Add((rate, rate / (await small.LoadAsync(Load, Time)).StepsPerSecond));
        }

        return $"{Comparison.Median(rounds, r => r.Rate):N0} steps/s, {Comparison.Median(rounds, r => r.Share):0.00} ({rounds.Min(r => r.Share):0.00} to {rounds.Max(r => r.Share):0.00})";
    }

    private static Task<string> SizeAsync(SiloUnderTest silo) => silo.ScalarAsync<string>(
        "select 'database ' || pg_size_pretty(pg_database_size(current_database())) || ', workflows ' || pg_size_pretty(pg_total_relation_size('actors.runs')) || ', outbox ' || pg_size_pretty(pg_total_relation_size('actors.outbox'))");
}
