using System.Diagnostics;

namespace Actors.Faults;

/// <summary>Injects faults one after the other, as a seed says, and measures after each how long the system takes to work again.</summary>
internal sealed partial class Nemesis
{
    private static readonly Dictionary<string, Func<Nemesis, Task>> Faults = new()
    {
        ["kill"] = nemesis => nemesis.KillAsync(1),
        ["kill two"] = nemesis => nemesis.KillAsync(2),
        ["kill all"] = nemesis => nemesis.KillAsync(Rig.SiloCount),
        ["freeze"] = nemesis => nemesis.FreezeAsync(500, 15_000),
        ["freeze long"] = nemesis => nemesis.FreezeAsync(20_000, 40_000),
        ["terminate"] = nemesis => nemesis.TerminateAsync(),
        ["rolling restart"] = nemesis => nemesis.RollingRestartAsync(),
        ["threads taken"] = nemesis => nemesis.TakeThreadsAsync(),
        ["same name twice"] = nemesis => nemesis.TwinAsync(),
        ["backends"] = nemesis => nemesis.BackendsAsync(),
        ["postgres restart"] = nemesis => nemesis.RestartAsync(),
        ["postmaster"] = nemesis => nemesis.PostmasterAsync(),
        ["immediate shutdown"] = nemesis => nemesis.ImmediateShutdownAsync(),
        ["table lock"] = nemesis => nemesis.TableLockAsync(),
        ["conflicts"] = nemesis => nemesis.ConflictsAsync(),
        ["deadlocks"] = nemesis => nemesis.DeadlocksAsync(),
        ["statement time-outs"] = nemesis => nemesis.StatementTimeoutsAsync(),
        ["no connections left"] = nemesis => nemesis.NoConnectionsLeftAsync(),
        ["old transaction"] = nemesis => nemesis.OldTransactionAsync(),
        ["left prepared"] = nemesis => nemesis.LeftPreparedAsync(),
        ["cut off from postgres"] = nemesis => nemesis.OnProxyAsync(proxy => { proxy.Refuses = true; proxy.Reset(); }, 500, 8000),
        ["reset"] = nemesis => nemesis.OnProxyAsync(proxy => proxy.Reset(), 0, 0),
        ["half open"] = nemesis => nemesis.OnProxyAsync(proxy => proxy.Stall(), 500, 12_000),
        ["slow"] = nemesis => nemesis.OnProxyAsync(proxy => proxy.DelayMs = 20, 1000, 6000),
        ["answers lost"] = nemesis => nemesis.OnProxyAsync(proxy => proxy.LoseAnswers(nemesis._random.Next(1, 20)), 500, 1500),
        ["requests lost"] = nemesis => nemesis.OnProxyAsync(proxy => proxy.LoseRequests(nemesis._random.Next(1, 20)), 500, 1500),
        ["silo cut off from silos"] = nemesis => nemesis.OnAsync(nemesis.Some(1)[0].Between, proxy => { proxy.Refuses = true; proxy.Reset(); }, 500, 10_000),
        ["silo half open to silos"] = nemesis => nemesis.OnAsync(nemesis.Some(1)[0].Between, proxy => proxy.Stall(), 500, 10_000),
        ["clients cut off"] = nemesis => nemesis.OnAsync(nemesis.Some(1)[0].Gateway, proxy => { proxy.Refuses = true; proxy.Reset(); }, 500, 8000),
        ["slow between silos"] = nemesis => nemesis.OnAsync(nemesis.Some(1)[0].Between, proxy => proxy.DelayMs = 50, 1000, 6000),
        ["sink down"] = nemesis => nemesis.SinkDownAsync(),
        ["sink frozen"] = nemesis => nemesis.SinkFrozenAsync(),
    };

    private readonly Rig _rig;
    private readonly Load _load;
    private readonly Random _random;
    private readonly Stopwatch _watch = Stopwatch.StartNew();

    public Nemesis(Rig rig, Load load, int seed) => (_rig, _load, _random) = (rig, load, new Random(seed));

    public static IReadOnlyCollection<string> Names => Faults.Keys;

    /// <summary>How long it took from the end of each fault until a new workflow had ended.</summary>
    public Dictionary<string, List<TimeSpan>> Recoveries { get; } = [];

    /// <param name="enough">Asked before each fault.</param>
    public async Task RunAsync(TimeSpan duration, IReadOnlyCollection<string> names, Func<bool>? enough = null)
    {
        // Every kind once, in an order that the seed makes, then again.
        var bag = new Queue<string>();
        while (_watch.Elapsed < duration && enough?.Invoke() != true)
        {
            if (bag.Count == 0)
            {
                var kinds = names.ToArray();
                _random.Shuffle(kinds);
                bag = new Queue<string>(kinds);
            }

            var name = bag.Dequeue();
            Say(name);
            await Faults[name](this);
            var recovery = await _load.ProbeAsync($"probe-{_watch.ElapsedMilliseconds}", TimeSpan.FromSeconds(90));
            if (!Recoveries.TryGetValue(name, out var list))
            {
                Recoveries[name] = list = [];
            }

            list.Add(recovery);
            await Task.Delay(_random.Next(300, 1500));
        }
    }

    private void Say(string line) => Console.WriteLine($"{_watch.Elapsed.TotalSeconds,7:F1} s  {line}");

    private SiloSlot[] Some(int count)
    {
        var silos = _rig.Silos.ToArray();
        _random.Shuffle(silos);
        return silos[..count];
    }

    private Task OnProxyAsync(Action<FaultProxy> harm, int leastMs, int mostMs) => OnAsync(Some(1)[0].Proxy, harm, leastMs, mostMs);

    private async Task OnAsync(FaultProxy proxy, Action<FaultProxy> harm, int leastMs, int mostMs)
    {
        harm(proxy);
        await Task.Delay(_random.Next(leastMs, mostMs + 1));
        proxy.Heal();
    }

    private async Task SinkDownAsync()
    {
        _rig.Sink.Kill();
        await Task.Delay(_random.Next(100, 4000));
        await _rig.StartSinkAsync();
    }

    private async Task SinkFrozenAsync()
    {
        _rig.Sink.Signal("STOP");
        await Task.Delay(_random.Next(1000, 8000));
        _rig.Sink.Signal("CONT");
    }
}
