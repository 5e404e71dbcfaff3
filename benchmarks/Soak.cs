using System.Diagnostics;

namespace Actors.Benchmarks;

/// <summary>One load for a long time, delivered and cleared away behind it: whether anything grows.</summary>
internal static class Soak
{
    private const int Load = 256;

    public static async Task<string> MeasureAsync(SiloUnderTest silo, int minutes)
    {
        var text = new Lines($"Soak: {Load} ten-step workflows at a time for {minutes} minutes, outbox delivered, ended runs kept for one minute");
        text.Add($"| minute | steps/s | heap MB | resident MB | outbox rows | workflow rows | database MB |");
        text.Add($"|---|---|---|---|---|---|---|");
        for (var minute = 1; minute <= minutes; minute++)
        {
            var measure = await silo.LoadAsync(Load, TimeSpan.FromMinutes(1));
            TenSteps.StepTicks = []; // The bench's own memory.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: true);
            using var process = Process.GetCurrentProcess();
            var rows = await silo.ScalarAsync<string>(
                "select (select count(*) from actors.outbox) || ' | ' || (select count(*) from actors.runs) || ' | ' || pg_database_size(current_database()) / 1000000");
            text.Add($"| {minute} | {measure.StepsPerSecond:0} | {GC.GetTotalMemory(false) / 1e6:0} | {process.WorkingSet64 / 1e6:0} | {rows} |");
        }

        return text.ToString();
    }
}
