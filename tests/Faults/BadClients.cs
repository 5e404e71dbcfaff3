using System.Diagnostics;
using System.Globalization;
using Actors.Support;

namespace Actors.Faults;

/// <summary>Clients that mean no good, at full load: random bytes at every port of every silo while work goes on, and a million tiny
/// signals to one workflow, from clients and from SQL.</summary>
internal static class BadClients
{
    private const int Signals = 1_000_000;
    private const long MemoryMaxMiB = 2_000;

    /// <returns>The exit code: 0 without a difference.</returns>
    public static async Task<int> RunAsync(string root)
    {
        var seed = Environment.TickCount;
        Console.WriteLine($"bad clients, seed {seed}");
        await using var rig = await Rig.StartAsync(root);
        var findings = new Findings();
        Console.WriteLine("| what | count | s | a second | most memory of a silo so far, MiB |");
        Console.WriteLine("|---|---|---|---|---|");
        await MeasureAsync(rig, "connections with random bytes", 9_000, async () =>
        {
            var random = new Random(seed);
            var ports = await PortsAsync(rig);
            var attack = Task.WhenAll(ports.Select(port => GarbageClients.AttackAsync(port, random, 9_000 / ports.Count)));
            for (var i = 0; !attack.IsCompleted; i++)
            {
                await EndsAsync(rig, findings, $"meanwhile-{i}", 1, bank => bank.SignalAsync(w => w.Add(1)));
            }

            await attack;
        });
        await MeasureAsync(rig, "signals from clients to one workflow", Signals, () => EndsAsync(rig, findings, "flood", Signals, bank =>
            Parallel.ForEachAsync(
                Enumerable.Range(0, Signals), new ParallelOptions { MaxDegreeOfParallelism = 512 }, async (n, _) =>
                await SignalAsync(bank, $"{n}"))));
        await MeasureAsync(rig, "signals from SQL to one workflow", Signals, () => EndsAsync(rig, findings, "flood in SQL", Signals, _ =>
            rig.ExecuteAsync($"set statement_timeout = 0; select count(actors.send('default', 'flood in SQL', n::text, 'Add', '[1]')) from "
                + $"generate_series(1, {Signals}) n")));
        foreach (var silo in rig.Silos)
        {
            silo.Measure();
            findings.Looked("memory of a silo", 1);
            if (silo.PeakMiB > MemoryMaxMiB)
            {
                findings.Add("memory of a silo", $"{silo.Name} had {silo.PeakMiB} MiB, more than {MemoryMaxMiB}");
            }
        }

        findings.Looked("no silo dies", 1);
        if (await rig.ScalarAsync<long>("select count(*) from actors.silos where dead_at is not null") is > 0 and var dead)
        {
            findings.Add("no silo dies", $"{dead} silos died of it");
        }

        findings.Print();
        return findings.Count == 0 ? 0 : 1;
    }

    /// <summary>A workflow that adds up so many signals comes to its end, with each counted once.</summary>
    private static async Task EndsAsync(Rig rig, Findings findings, string id, int signals, Func<IWorkflowHandle<IBank>, Task> send)
    {
        var bank = rig.Workflows.Get<IBank>(id);
        await bank.StartAsync(new BankJob(0, signals));
        await send(bank);
        findings.Looked("ends with every signal once", 1);
        try
        {
            var sum = await bank.ResultAsync().WaitAsync(TimeSpan.FromMinutes(5));
            if (sum != signals)
            {
                findings.Add("ends with every signal once", $"{id} counted {sum} of {signals}");
            }
        }
        catch (Exception error) when (error is TimeoutException or ActorsException)
        {
            findings.Add("ends with every signal once", $"{id}: {error.Message}");
        }
    }

    private static async Task SignalAsync(IWorkflowHandle<IBank> bank, string id)
    {
        while (true)
        {
            try
            {
                await bank.SignalAsync(w => w.Add(1), id);
                return;
            }
            catch (ActorsException error) when (error.IsTransient)
            {
                // Repeated with the same id.
            }
        }
    }

    private static async Task<List<int>> PortsAsync(Rig rig)
    {
        await using var command = rig.Database.CreateCommand("select port, proxy_port from actors.orleans_membership where status = 3");
        await using var reader = await command.ExecuteReaderAsync();
        var ports = new List<int>();
        while (await reader.ReadAsync())
        {
            ports.AddRange([reader.GetInt32(0), reader.GetInt32(1)]);
        }

        return ports;
    }

    private static async Task MeasureAsync(Rig rig, string what, int count, Func<Task> load)
    {
        var watch = Stopwatch.StartNew();
        await load();
        var seconds = watch.Elapsed.TotalSeconds;
        rig.Silos.ToList().ForEach(silo => silo.Measure());
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"| {what} | {count:N0} | {seconds:F0} | {count / seconds:N0} | {rig.Silos.Max(silo => silo.PeakMiB)} |"));
    }
}
