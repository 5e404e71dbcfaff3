using System.Diagnostics;
using System.Globalization;
using Actors.CrashScenarios;

namespace Actors.Faults;

/// <summary>
/// Stops a process just before and just after the k-th statement that it sends to the database, for every k of every scenario, and goes on
/// with a new process. <c>./test</c> plays a choice of the same matrix.
/// </summary>
internal static class EveryCommit
{
    /// <param name="names">Separated by commas; null: every scenario.</param>
    /// <returns>The exit code: 0 without a difference.</returns>
    public static async Task<int> RunAsync(string? names)
    {
        var scenarios = names?.Split(',') ?? [.. Scene.Names.Order(StringComparer.Ordinal)];
        if (scenarios.Except(Scene.Names).Any())
        {
            Console.Error.WriteLine(
                $"Usage: ./faults --every-commit [NAME,…], where NAME is one of: "
                + $"{string.Join(", ", Scene.Names.Order(StringComparer.Ordinal))}");
            return 2;
        }

        Console.WriteLine("| scenario | statements | kills | differences | s |");
        Console.WriteLine("|---|---|---|---|---|");
        var (statements, kills, differences, watch) = (0, 0, new List<string>(), Stopwatch.StartNew());
        foreach (var scenario in scenarios)
        {
            var (begin, known) = (watch.Elapsed, differences.Count);
            var (sent, killed) = await PlayAsync(scenario, differences);
            (statements, kills) = (statements + sent, kills + killed);
            Row(scenario, sent, killed, differences.Count - known, watch.Elapsed - begin);
        }

        if (kills == 0)
        {
            differences.Add("no process was stopped, so nothing was shown");
        }

        Row("all", statements, kills, differences.Count, watch.Elapsed);
        differences.ForEach(difference => Console.WriteLine($"DIFFERENCE {difference}"));
        return differences.Count == 0 ? 0 : 1;
    }

    /// <summary>Until a process comes to its end on both sides of k: what runs beside each other may send more than it does
    /// undisturbed.</summary>
    private static async Task<(int Statements, int Kills)> PlayAsync(string scenario, List<string> differences)
    {
        var undisturbed = (await CrashMatrix.UndisturbedAsync(scenario)).RoundTrips;
        var kills = 0;
        for (var k = 1; ; k++)
        {
            var died = await Task.WhenAll(DiesAsync(scenario, $"before:{k}", differences), DiesAsync(scenario, $"after:{k}", differences));
            kills += died.Count(dies => dies);
            if (k > undisturbed && !died.Contains(true))
            {
                return (k - 1, kills);
            }
        }
    }

    private static async Task<bool> DiesAsync(string scenario, string at, List<string> differences)
    {
        try
        {
            return await CrashMatrix.KillAsync(scenario, at);
        }
        catch (DifferenceException difference)
        {
            lock (differences)
            {
                differences.Add($"{scenario}, {at}: {difference.Message}");
            }

            return false;
        }
    }

    private static void Row(string scenario, int statements, int kills, int differences, TimeSpan time) =>
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"| {scenario} | {statements} | {kills} | {differences} | {time.TotalSeconds:F0} |"));
}
