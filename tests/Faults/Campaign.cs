using System.Diagnostics;

namespace Actors.Faults;

/// <summary>Faults, load and checks on one rig: for so long, or in rounds until a difference shows.</summary>
/// <param name="stopsAtFirst">A difference ends the round.</param>
internal sealed class Campaign(Rig rig, int seed, bool stopsAtFirst = false)
{
    private readonly List<Load> _loads = [];

    public Findings Findings { get; } = new();

    /// <summary>Faults for so long, then rest, then every check.</summary>
    /// <param name="restLimit">Within this time after the last fault everything must have ended.</param>
    public async Task RoundAsync(Func<Load, Task> faults, TimeSpan restLimit)
    {
        var load = new Load(rig, seed + _loads.Count, Findings, _loads.Count == 0 ? "bank" : $"bank-{_loads.Count}");
        _loads.Add(load);
        await using var checks = new Checks(rig, load, Findings);
        using var calm = new CancellationTokenSource();
        var watching = Task.WhenAll(checks.WatchMoneyAsync(calm.Token), checks.WatchStatesAsync(calm.Token));
        load.Start();
        try
        {
            await faults(load);
        }
        catch
        {
            await load.EndAsync(TimeSpan.Zero); // Else its callers go on.
            await calm.CancelAsync();
            await watching;
            throw;
        }

        if (stopsAtFirst && Findings.First is not null)
        {
            await load.EndAsync(TimeSpan.Zero);
            await calm.CancelAsync();
            await watching;
            return;
        }

        var healed = Stopwatch.StartNew();
        var ended = await load.EndAsync(restLimit);
        Console.WriteLine($"healed: everything ended after {healed.Elapsed.TotalSeconds:F1} s{(ended ? "" : " - NOT")}");
        // Also what was started by callers who never heard of it.
        while (await rig.ScalarAsync<bool>(
            "select exists (select from actors.outbox) or exists (select from actors.runs where status = 0)")
            && healed.Elapsed < restLimit * 1.5)
        {
            await Task.Delay(100);
        }

        await calm.CancelAsync();
        await watching;
        await checks.AfterAsync(ended);
    }

    /// <summary>Returns the exit code.</summary>
    /// <param name="whole">Faults of every kind: then every check has something to look at.</param>
    public int Report(Nemesis nemesis, bool whole)
    {
        if (whole)
        {
            Findings.ExpectSomethingEverywhere();
        }

        Console.WriteLine();
        nemesis.Recoveries.Print();
        Console.WriteLine();
        Console.WriteLine($"{_loads.Sum(load => load.History.Count)} workflows, {_loads.Sum(load => load.Repeats)} calls repeated");
        Findings.Print();
        Console.WriteLine($"{Findings.Count} differences; seed {seed}");
        return Findings.Count == 0 ? 0 : 1;
    }
}
