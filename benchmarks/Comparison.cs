namespace Actors.Benchmarks;

/// <summary>Rounds of pgbench and of workflows, one after the other on the same server, so that both see the same machine.</summary>
internal sealed record Comparison(
    List<Pgbench.Figures> Commit,
    Dictionary<int, List<Pgbench.Figures>> Single,
    Dictionary<int, List<Pgbench.Figures>> Batch50,
    Dictionary<int, List<Measure>> Steps,
    Dictionary<int, double?> SystemCallsPerStep)
{
    public const int LatencyClients = 16;

    private static readonly int[] Clients = [1, 8, 64];

    public int Rounds => Commit.Count;

    /// <summary>Durable steps a second by single transactions, at pgbench's best number of clients.</summary>
    public double P1 => Single.Values.Max(figures => Median(figures, f => f.PerSecond));

    /// <summary>The same with fifty steps in a transaction.</summary>
    public double P50 => Batch50.Values.Max(figures => 50 * Median(figures, f => f.PerSecond));

    public static async Task<Comparison> MeasureAsync(string connectionString, string pgbench, bool quick)
    {
        int[] loads = quick ? [1, 16, 256, 1024] : [1, 16, 64, 256, 1024];
        var (rounds, time) = quick ? (1, TimeSpan.FromSeconds(5)) : (3, TimeSpan.FromSeconds(15));
        var all = new Comparison([], [], [], [], []);
        await using var silo = await SiloUnderTest.StartAsync(connectionString);
        await silo.LoadAsync(64, TimeSpan.FromSeconds(quick ? 4 : 15)); // Compiles and prepares.
        for (var round = 0; round < rounds; round++)
        {
            all.Commit.Add(await Pgbench.RunAsync(pgbench, connectionString, "commit.sql", 1, time));
            foreach (var clients in quick ? Clients : [.. Clients, LatencyClients])
            {
                Add(all.Single, clients, await Pgbench.RunAsync(pgbench, connectionString, "step.sql", clients, time));
            }

            foreach (var clients in quick ? [8] : Clients)
            {
                Add(all.Batch50, clients, await Pgbench.RunAsync(pgbench, connectionString, "step50.sql", clients, time));
            }

            foreach (var load in loads)
            {
                Add(all.Steps, load, await silo.LoadAsync(load, time));
            }
        }

        foreach (var load in quick ? new[] { 256 } : [1, 256])
        {
            all.SystemCallsPerStep[load] = await silo.SystemCallsPerStepAsync(load, TimeSpan.FromSeconds(quick ? 4 : 10));
        }

        return all;
    }

    public static double Median<T>(IEnumerable<T> values, Func<T, double> select)
    {
        var sorted = values.Select(select).Order().ToArray();
        return sorted[sorted.Length / 2];
    }

    private static void Add<T>(Dictionary<int, List<T>> to, int key, T value)
    {
        if (!to.TryGetValue(key, out var list))
        {
            to[key] = list = [];
        }

        list.Add(value);
    }
}
