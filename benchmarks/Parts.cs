using System.Diagnostics;
using Actors.Execution;
using Microsoft.Extensions.DependencyInjection;

namespace Actors.Benchmarks;

/// <summary>What each part of a run's life costs by itself: WAL, index entries (its records of the WAL), processor.</summary>
internal static class Parts
{
    private const int Concurrency = 256;

    public static async Task<string> MeasureAsync(SiloUnderTest silo, int count)
    {
        var text = new Lines($"Parts of a run's life, each {count:N0} times, {Concurrency} at a time");
        text.Add($"| part | WAL bytes | index entries | silo µs | Postgres µs | a second |");
        text.Add($"|---|---|---|---|---|---|");
        await silo.ExecuteAsync("create extension if not exists pg_walinspect");
        IWorkflowHandle<IListener> Of(string name, int i) => silo.Workflows.Get<IListener>($"{name}-{i}");
        for (var round = 0; round < 2; round++)
        {
            var name = round == 0 ? "warm" : "part"; // The first warms up.
            List<(string Part, Func<int, Task> Call)> parts =
            [
                ("start", i => Of(name, i).StartAsync(0)),
                ("signal", i => Of(name, i).SignalAsync(w => w.Ring(), $"signal {i}")),
                ("message", i => Of(name, i).SendAsync("go on", true, $"message {i}")),
                ("message and end", async i =>
                {
                    await Of(name, i).SendAsync("go on", false, $"last {i}");
                    await Of(name, i).ResultAsync();
                }),
                ("start with a request id", i => Of($"{name}-by-request", i).StartAsync(
                    0, new StartOptions { Policy = StartPolicy.Reject, RequestId = $"request {i}" })),
            ];
            void Add(string part, string costs)
            {
                if (name == "part")
                {
                    text.Add($"| {part} {costs}");
                }
            }

            foreach (var (part, call) in parts)
            {
                var row = await CostAsync(silo, count, () => EachAsync(count, call));
                Add(part, row);
            }

            var rest = await CostAsync(silo, count, () => RestAsync(silo.Engine, count));
            Add("rest", rest);
            rest = await CostAsync(
                silo, count, () => EachAsync(count, i => Of($"{name}-by-request", i).SignalAsync(w => w.Ring(), $"signal {i}")));
            Add("signal to one at rest", rest);
            await EachAsync(count, async i =>
            {
                await Of($"{name}-by-request", i).SendAsync("go on", false, $"last {i}"); // None is left to rest in the next round.
                await Of($"{name}-by-request", i).ResultAsync();
            });
        }

        return text.ToString();
    }

    private static async Task RestAsync(WorkflowEngine engine, int count)
    {
        while (engine.ResidentCount > 0)
        {
            foreach (var resident in engine.Residents)
            {
                resident.RestIfIdle(TimeSpan.Zero);
            }

            await Task.Delay(20);
        }
    }

    private static Task EachAsync(int count, Func<int, Task> call) => Task.WhenAll(Enumerable.Range(0, Concurrency).Select(async client =>
    {
        for (var i = client; i < count; i += Concurrency)
        {
            await call(i);
        }
    }));

    private static async Task<string> CostAsync(SiloUnderTest silo, int count, Func<Task> work)
    {
        var (lsn, silos, server) = (await LsnAsync(), Environment.CpuUsage.TotalTime, await silo.ServerCpuAsync());
        var watch = Stopwatch.StartNew();
        await work();
        var seconds = watch.Elapsed.TotalSeconds;
        silos = Environment.CpuUsage.TotalTime - silos;
        server = await silo.ServerCpuAsync() - server;
        var end = await LsnAsync();
        var wal = await silo.ScalarAsync<double>($"select ('{end}'::pg_lsn - '{lsn}'::pg_lsn)::float8");
        var entries = await silo.ScalarAsync<double>(
            $"select coalesce(sum(count), 0)::float8 from pg_get_wal_stats('{lsn}', '{end}', true) "
                + "where \"resource_manager/record_type\" like 'Btree/INSERT_LEAF%'");
        FormattableString stored = $"| {wal / count:0} | {entries / count:0.0} ";
        FormattableString used = $"| {silos.TotalMicroseconds / count:0.0} | {server * 1e6 / count:0.0} | {count / seconds:0} |";
        return FormattableString.Invariant(stored) + FormattableString.Invariant(used);

        Task<string> LsnAsync() => silo.ScalarAsync<string>("select pg_current_wal_flush_lsn()::text");
    }
}
