using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using static Actors.Benchmarks.Comparison;

namespace Actors.Benchmarks;

/// <summary>What was measured, for people and for programs: medians, and the range where there were several rounds.</summary>
internal static class Report
{
    public static string Text(Comparison all, string commit, string settings)
    {
        var text = new StringBuilder();
        void Line(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
        Line($"# Steps per second, {DateTime.UtcNow:yyyy-MM-dd}, commit {commit}");
        Line($"");
        Line($"{Environment.ProcessorCount} cores, client and server on the same machine; {settings}. Medians of {all.Rounds} round(s), the range in brackets.");
        Line($"Ten-step workflows, results of 200 bytes, one outbox row a step; from start to awaited result, callers inside the one silo.");
        Line($"P1: pgbench's best with one step a transaction, {all.P1:0}/s. P50: its best with fifty, {all.P50:0} steps/s.");
        Line($"");
        Line($"| concurrent workflows | steps/s | of P1 | of P50 | step p50 ms | step p99 ms | workflow p50 ms | workflow p99 ms |");
        Line($"|---|---|---|---|---|---|---|---|");
        foreach (var (load, m) in all.Steps)
        {
            var rate = Median(m, x => x.StepsPerSecond);
            Line($"| {load} | {Range(m, x => x.StepsPerSecond, "0")} | {rate / all.P1:0.00} | {rate / all.P50:0.00} | {Median(m, x => x.StepP50Ms):0.00} | {Median(m, x => x.StepP99Ms):0.00} | {Range(m, x => x.WorkflowP50Ms, "0.0")} | {Median(m, x => x.WorkflowP99Ms):0.0} |");
        }

        Line($"");
        Line($"| concurrent workflows | commits/step | round trips/step | WAL bytes/step | allocated bytes/step | socket system calls/step | processor µs/step: silo | Postgres |");
        Line($"|---|---|---|---|---|---|---|---|");
        foreach (var (load, m) in all.Steps)
        {
            Line($"| {load} | {Median(m, x => x.CommitsPerStep):0.000} | {Median(m, x => x.RoundTripsPerStep):0.000} | {Median(m, x => x.WalBytesPerStep):0} | {Median(m, x => x.BytesAllocatedPerStep):0} | {all.SystemCallsPerStep.GetValueOrDefault(load)?.ToString("0.00", CultureInfo.InvariantCulture) ?? "–"} | {Median(m, x => x.SiloMicrosecondsPerStep):0} | {Shown(m, x => x.ServerMicrosecondsPerStep)} |");
        }

        Line($"");
        Line($"| pgbench, pipelined, prepared | clients | steps/s | p50 ms | p99 ms | WAL bytes/step | processor µs/step: Postgres |");
        Line($"|---|---|---|---|---|---|---|");
        foreach (var (what, size, figures) in new[] { ("one step a transaction", 1, all.Single), ("fifty steps a transaction", 50, all.Batch50) })
        {
            foreach (var (clients, f) in figures)
            {
                Line($"| {what} | {clients} | {Range(f, x => x.PerSecond * size, "0")} | {Median(f, x => x.P50Ms):0.00} | {Median(f, x => x.P99Ms):0.00} | {Median(f, x => x.WalBytes) / size:0} | {Shown(f, x => x.ServerMicroseconds / size)} |");
            }
        }

        var commitMs = Median(all.Commit, f => f.P50Ms);
        var latency = Median(all.Steps[1], x => x.WorkflowP50Ms);
        Line($"");
        var stepMs = Median(all.Single[1], f => f.P50Ms);
        Line($"One client: a step of pgbench, one transaction, takes {stepMs:0.00} ms (p50), twelve {12 * stepMs:0.0} ms; a ten-step workflow, twelve transactions, {latency:0.0} ms, {latency / (12 * stepMs):0.00} times that, and {latency / (12 * commitMs):0.00} times twelve updates of one small row ({commitMs:0.00} ms each).");
        if (all.Single.TryGetValue(LatencyClients, out var sixteen))
        {
            var ours = Median(all.Steps[16], x => x.StepP99Ms / x.StepP50Ms);
            var theirs = Median(sixteen, f => f.P99Ms / f.P50Ms);
            Line($"Sixteen clients, p99/p50: one step {ours:0.00}, pgbench {theirs:0.00}.");
        }

        return text.ToString();
    }

    /// <summary>The form that programs read; a figure that could not be taken is null.</summary>
    public static string Json(Comparison all)
    {
        var many = all.Steps[256];
        var json = new JsonObject
        {
            ["pgbench"] = new JsonObject { ["single"] = Rates(all.Single), ["batch50"] = Rates(all.Batch50) },
            ["steps"] = new JsonObject(all.Steps.Select(load => KeyValuePair.Create<string, JsonNode?>(Name(load.Key), new JsonObject
            {
                ["perSecond"] = Median(load.Value, x => x.StepsPerSecond),
                ["workflow"] = new JsonObject { ["p50Ms"] = Median(load.Value, x => x.WorkflowP50Ms), ["p99Ms"] = Median(load.Value, x => x.WorkflowP99Ms) },
                ["step"] = new JsonObject { ["p50Ms"] = Median(load.Value, x => x.StepP50Ms), ["p99Ms"] = Median(load.Value, x => x.StepP99Ms) },
            }))),
            ["perStep"] = new JsonObject
            {
                ["concurrency"] = 256,
                ["commits"] = Median(many, x => x.CommitsPerStep),
                ["roundTrips"] = Median(many, x => x.RoundTripsPerStep),
                ["walBytes"] = Median(many, x => x.WalBytesPerStep),
                ["syscalls"] = all.SystemCallsPerStep.GetValueOrDefault(256),
            },
        };
        return json.ToJsonString(new JsonSerializerOptions { WriteIndented = true });
    }

    /// <summary>Transactions a second by number of clients.</summary>
    private static JsonObject Rates(Dictionary<int, List<Pgbench.Figures>> figures) =>
        new(figures.Select(f => KeyValuePair.Create<string, JsonNode?>(Name(f.Key), Median(f.Value, x => x.PerSecond))));

    private static string Name(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Shown<T>(List<T> values, Func<T, double?> select) =>
        values.TrueForAll(value => select(value) is not null) ? Median(values, value => select(value)!.Value).ToString("0", CultureInfo.InvariantCulture) : "–";

    private static string Range<T>(List<T> values, Func<T, double> select, string format)
    {
        string Show(double value) => value.ToString(format, CultureInfo.InvariantCulture);
        var median = Show(Median(values, select));
        return values.Count == 1 ? median : $"{median} ({Show(values.Min(select))}–{Show(values.Max(select))})";
    }
}
