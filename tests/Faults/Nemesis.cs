using System.Diagnostics;
using Npgsql;

namespace Actors.Faults;

/// <summary>Injects faults one after the other, as a seed says, and measures after each how long the system takes to work again.</summary>
internal sealed class Nemesis
{
    private static readonly Dictionary<string, Func<Nemesis, Task>> Faults = new()
    {
        ["kill"] = nemesis => nemesis.KillAsync(1),
        ["kill two"] = nemesis => nemesis.KillAsync(2),
        ["kill all"] = nemesis => nemesis.KillAsync(Rig.SiloCount),
        ["freeze"] = nemesis => nemesis.FreezeAsync(),
        ["terminate"] = nemesis => nemesis.TerminateAsync(),
        ["same name twice"] = nemesis => nemesis.TwinAsync(),
        ["backends"] = nemesis => nemesis.BackendsAsync(),
        ["postgres restart"] = nemesis => nemesis.RestartAsync(),
        ["postmaster"] = nemesis => nemesis.PostmasterAsync(),
        ["table lock"] = nemesis => nemesis.TableLockAsync(),
        ["cut off from postgres"] = nemesis => nemesis.OnProxyAsync(proxy => { proxy.Refuses = true; proxy.Reset(); }, 500, 8000),
        ["reset"] = nemesis => nemesis.OnProxyAsync(proxy => proxy.Reset(), 0, 0),
        ["half open"] = nemesis => nemesis.OnProxyAsync(proxy => proxy.Stall(), 500, 12_000),
        ["slow"] = nemesis => nemesis.OnProxyAsync(proxy => proxy.DelayMs = 20, 1000, 6000),
        ["answers lost"] = nemesis => nemesis.OnProxyAsync(proxy => proxy.LoseAnswers(nemesis._random.Next(1, 20)), 500, 1500),
        ["requests lost"] = nemesis => nemesis.OnProxyAsync(proxy => proxy.LoseRequests(nemesis._random.Next(1, 20)), 500, 1500),
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

    private async Task KillAsync(int count)
    {
        var silos = Some(count);
        foreach (var silo in silos)
        {
            silo.IsHeldDown = true;
            silo.Measure();
            silo.Process.Kill();
        }

        await Task.Delay(_random.Next(0, 2000));
        foreach (var silo in silos)
        {
            silo.IsHeldDown = false;
        }
    }

    private async Task FreezeAsync()
    {
        var silo = Some(1)[0];
        silo.Process.Signal("STOP");
        await Task.Delay(_random.Next(500, 15_000));
        silo.Process.Signal("CONT");
    }

    private async Task TerminateAsync()
    {
        var silo = Some(1)[0];
        var process = silo.Process;
        silo.Measure();
        process.Signal("TERM");
        await process.ExitedAsync();
    }

    private async Task TwinAsync()
    {
        using var twin = _rig.StartTwin(Some(1)[0]);
        await Task.WhenAny(twin.ReadyAsync(), Task.Delay(TimeSpan.FromSeconds(20)));
        await Task.Delay(_random.Next(500, 3000));
    }

    private async Task BackendsAsync()
    {
        for (var i = _random.Next(1, 6); i > 0; i--)
        {
            await _rig.ExecuteAsync("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'actors %' and random() < 0.5");
            await Task.Delay(_random.Next(10, 300));
        }
    }

    private async Task RestartAsync()
    {
        await _rig.StopPostgresAsync();
        await Task.Delay(_random.Next(0, 3000));
        await _rig.StartPostgresAsync();
    }

    private async Task PostmasterAsync()
    {
        using (var kill = Process.Start("kill", ["-KILL", $"{_rig.PostmasterId()}"]))
        {
            await kill.WaitForExitAsync();
        }

        await Task.Delay(_random.Next(0, 3000));
        await _rig.StartPostgresAsync();
    }

    private async Task TableLockAsync()
    {
        await using var connection = await _rig.Database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        var table = new[] { "actors.workflows", "actors.journal", "actors.outbox", "accounts" }[_random.Next(4)];
        await using var command = new NpgsqlCommand($"lock table {table} in share row exclusive mode", connection);
        await command.ExecuteNonQueryAsync();
        await Task.Delay(_random.Next(300, 4000));
        await transaction.RollbackAsync();
    }

    private async Task OnProxyAsync(Action<FaultProxy> harm, int leastMs, int mostMs)
    {
        var proxy = Some(1)[0].Proxy;
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
