namespace Actors.Benchmarks;

/// <summary>
/// One, two and four silo processes under the same load, the callers spread over them; all share this machine, whose speed changes within
/// minutes: so all are made warm first and then take turns.
/// </summary>
internal static class Cluster
{
    private const int Load = 1024;
    private const int Rounds = 5;
    private static readonly TimeSpan Round = TimeSpan.FromSeconds(15);

    public static async Task<string> MeasureAsync(Func<string, Task<string>> freshDatabaseAsync)
    {
        var clusters = new List<(ChildSilo[] Silos, int Warm, List<Measure[]> Rounds)>();
        foreach (var count in new[] { 1, 2, 4 })
        {
            var database = await freshDatabaseAsync($"actors_bench_{count}");
            var silos = await Task.WhenAll(Enumerable.Range(0, count).Select(_ => ChildSilo.StartAsync(database)));
            clusters.Add((silos, await WarmAsync(silos), []));
        }

        for (var round = 0; round < Rounds; round++)
        {
            foreach (var (silos, _, rounds) in clusters)
            {
                rounds.Add(await LoadAsync(silos, Round));
            }
        }

        foreach (var silo in clusters.SelectMany(cluster => cluster.Silos))
        {
            await silo.DisposeAsync();
        }

        return Table(clusters);
    }

    private static string Table(List<(ChildSilo[] Silos, int Warm, List<Measure[]> Rounds)> clusters)
    {
        var text = new Lines($"Silo processes on one machine: {Load} ten-step workflows at a time, medians of {Rounds} rounds by turns, each cluster in a database of its own");
        text.Add($"| silos | steps/s | of one in the same round | least and most steps of a silo, shares | commits/step | round trips/step | allocated bytes/step | processor µs/step: silos | Postgres | warm after s |");
        text.Add($"|---|---|---|---|---|---|---|---|---|---|");
        var one = clusters[0].Rounds.Select(Rate).ToList();
        foreach (var (silos, warm, rounds) in clusters)
        {
            var ofOne = rounds.Zip(one, (all, alone) => Rate(all) / alone).Order().ToList();
            var shares = rounds.SelectMany(all => all.Select(m => m.StepsRun / all.Sum(x => x.StepsRun))).ToList();
            text.Add($"| {silos.Length} | {Comparison.Median(rounds, Rate):0} | {ofOne[Rounds / 2]:0.00} ({ofOne[0]:0.00} to {ofOne[^1]:0.00}) | {shares.Min():0.00} to {shares.Max():0.00} | {PerStep(rounds, m => m.CommitsPerStep):0.000} | {PerStep(rounds, m => m.RoundTripsPerStep):0.000} | {PerStep(rounds, m => m.BytesAllocatedPerStep):0} | {PerStep(rounds, m => m.SiloMicrosecondsPerStep):0} | {Server(rounds)} | {warm} |");
        }

        return text.ToString();
    }

    private static double Rate(Measure[] silos) => silos.Sum(m => m.StepsPerSecond);

    /// <summary>
    /// Loads until the rate has not risen for two rounds: the just-in-time compiler of each process needs the cores that the load takes,
    /// so that four processes are slow for minutes. Returns the seconds that took.
    /// </summary>
    private static async Task<int> WarmAsync(ChildSilo[] silos)
    {
        var (best, idle, rounds) = (0.0, 0, 0);
        for (; idle < 2 && rounds < 20; rounds++)
        {
            var rate = Rate(await LoadAsync(silos, Round));
            idle = rate > best * 1.03 ? 0 : idle + 1;
            best = Math.Max(best, rate);
        }

        return rounds * (int)Round.TotalSeconds;
    }

    private static Task<Measure[]> LoadAsync(ChildSilo[] silos, TimeSpan duration) =>
        Task.WhenAll(silos.Select(silo => silo.LoadAsync(Load / silos.Length, duration)));

    // Each of the silos saw all that the server did, while all of them ran.
    private static string Server(List<Measure[]> rounds) => rounds[0][0].ServerMicrosecondsPerStep is null ? "–"
        : Comparison.Median(rounds, all => all.Average(m => m.ServerMicrosecondsPerStep!.Value * m.Steps) / all.Sum(m => m.Steps)).ToString("0", System.Globalization.CultureInfo.InvariantCulture);

    // Of all silos together: a caller's steps run on any of them.
    private static double PerStep(List<Measure[]> rounds, Func<Measure, double> cost) =>
        Comparison.Median(rounds, all => all.Sum(m => cost(m) * m.Steps) / all.Sum(m => m.Steps));
}
