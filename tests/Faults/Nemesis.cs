using System.Diagnostics;
using System.Globalization;

namespace Actors.Faults;

/// <summary>Injects faults one after the other, as a seed says, and measures after each how long the system takes to work again.</summary>
internal sealed partial class Nemesis(Rig rig, Load load, int seed)
{
    public const string DiskFull = "disk full";

    private static readonly TimeSpan RecoveryLimit = TimeSpan.FromSeconds(90);

    // Said at once, so that the silos' logs can be read beside it.
    private static readonly TimeSpan Notable = TimeSpan.FromSeconds(8);

    private static readonly Dictionary<string, Fault> Faults = new()
    {
        ["kill"] = new(nemesis => nemesis.KillAsync(1)) { Goal = 3, FromBeginning = true },
        ["kill two"] = new(nemesis => nemesis.KillAsync(2)) { FromBeginning = true },
        ["kill all"] = new(nemesis => nemesis.KillAsync(Rig.SiloCount)) { Goal = 10 },
        ["freeze"] = new(nemesis => nemesis.FreezeAsync(500, 15_000)) { Goal = 15, FromBeginning = true },
        ["freeze long"] = new(nemesis => nemesis.FreezeAsync(20_000, 40_000)) { Goal = 15, FromBeginning = true },
        ["freeze for a minute and more"] = new(
            nemesis => nemesis.FreezeAsync(60_000, 90_000)) { Goal = 15, FromBeginning = true, IsLong = true },
        ["terminate"] = new(nemesis => nemesis.TerminateAsync()),
        ["rolling restart"] = new(nemesis => nemesis.RollingRestartAsync()),
        ["threads taken"] = new(nemesis => nemesis.TakeThreadsAsync()),
        ["memory taken"] = new(nemesis => nemesis.TakeMemoryAsync()),
        ["clock ahead"] = new(nemesis => nemesis.ClockAsync(TimeSpan.FromMinutes(10))),
        ["clock behind"] = new(nemesis => nemesis.ClockAsync(TimeSpan.FromMinutes(-10))),
        ["clock jumps"] = new(nemesis => nemesis.ClockJumpsAsync()),
        ["same name twice"] = new(nemesis => nemesis.TwinAsync()),
        ["callers with transactions"] = new(nemesis => nemesis.CallInScopesAsync()),
        ["two activations"] = new(nemesis => nemesis.TwoActivationsAsync()),
        ["backends"] = new(nemesis => nemesis.BackendsAsync()),
        ["postgres restart"] = new(nemesis => nemesis.RestartAsync()) { Goal = 5 },
        ["postmaster"] = new(nemesis => nemesis.PostmasterAsync()) { Goal = 5 },
        ["immediate shutdown"] = new(nemesis => nemesis.ImmediateShutdownAsync()) { Goal = 5 },
        ["failover"] = new(nemesis => nemesis.FailOverAsync()) { Goal = 5 },
        [DiskFull] = new(nemesis => nemesis.DiskFullAsync()) { IsAsked = true },
        ["table lock"] = new(nemesis => nemesis.TableLockAsync()),
        ["conflicts"] = new(nemesis => nemesis.ConflictsAsync()),
        ["deadlocks"] = new(nemesis => nemesis.DeadlocksAsync()),
        ["statement time-outs"] = new(nemesis => nemesis.StatementTimeoutsAsync()),
        ["no connections left"] = new(nemesis => nemesis.NoConnectionsLeftAsync()),
        ["old transaction"] = new(nemesis => nemesis.OldTransactionAsync(5000, 20_000)),
        ["old transaction for minutes"] = new(nemesis => nemesis.OldTransactionAsync(90_000, 180_000)) { IsLong = true },
        ["left prepared"] = new(nemesis => nemesis.LeftPreparedAsync()),
        ["cut off from postgres"] = new(nemesis => nemesis.OnProxyAsync(proxy => proxy.Cut(), 500, 8000)),
        ["reset"] = new(nemesis => nemesis.OnProxyAsync(proxy => proxy.Reset(), 0, 0)),
        ["half open"] = new(nemesis => nemesis.OnProxyAsync(proxy => proxy.Stall(), 500, 12_000)),
        ["one silo silent to postgres"] = new(
            nemesis => nemesis.OnProxyAsync(proxy => proxy.Stall(), 20_000, 40_000)) { Goal = 20, FromBeginning = true },
        ["one silo silent to postgres for minutes"] = new(nemesis => nemesis.OnProxyAsync(proxy => proxy.Stall(), 100_000, 140_000))
        {
            Goal = 20, FromBeginning = true, IsLong = true,
        },
        ["postgres vanished"] = new(nemesis => nemesis.VanishAsync()),
        ["slow"] = new(nemesis => nemesis.OnProxyAsync(proxy => proxy.DelayMs = 20, 1000, 6000)),
        ["answers lost"] = new(nemesis => nemesis.OnProxyAsync(proxy => proxy.LoseAnswers(nemesis._random.Next(1, 20)), 500, 1500)),
        ["requests lost"] = new(nemesis => nemesis.OnProxyAsync(proxy => proxy.LoseRequests(nemesis._random.Next(1, 20)), 500, 1500)),
        ["silo cut off from silos"] = new(nemesis => nemesis.CutOffFromSilosAsync()),
        ["silos cannot reach one"] = new(nemesis => nemesis.OnAsync(nemesis.Some(1)[0].Between, proxy => proxy.Cut(), 500, 10_000)),
        ["silo half open to silos"] = new(nemesis => nemesis.OnAsync(nemesis.Some(1)[0].Between, proxy => proxy.Stall(), 500, 10_000)),
        ["slow between silos"] = new(nemesis => nemesis.OnAsync(nemesis.Some(1)[0].Between, proxy => proxy.DelayMs = 50, 1000, 6000)),
        ["clients cut off"] = new(nemesis => nemesis.OnAsync(nemesis.Some(1)[0].Gateway, proxy => proxy.Cut(), 500, 8000)),
        ["clients half open"] = new(nemesis => nemesis.OnAsync(nemesis.Some(1)[0].Gateway, proxy => proxy.Stall(), 500, 8000)),
        ["clients slow"] = new(nemesis => nemesis.OnAsync(nemesis.Some(1)[0].Gateway, proxy => proxy.DelayMs = 50, 1000, 6000)),
        ["bodies that misbehave"] = new(nemesis => nemesis.MisbehaveAsync()),
        ["many large runs under a small heap"] = new(nemesis => nemesis.LoadMuchAsync()) { IsLong = true },
        ["calls repeated"] = new(nemesis => nemesis.RepeatCallsAsync()),
        ["sink down"] = new(nemesis => nemesis.SinkDownAsync()),
        ["sink frozen"] = new(nemesis => nemesis.SinkFrozenAsync()),
        ["webhooks down"] = new(nemesis => nemesis.WebhooksAsync(ReceiverMode.Down)),
        ["webhooks slow"] = new(nemesis => nemesis.WebhooksAsync(ReceiverMode.Slow)),
        ["webhooks refused"] = new(nemesis => nemesis.WebhooksAsync(ReceiverMode.Refuses)),
        ["webhooks moody"] = new(nemesis => nemesis.WebhooksAsync(ReceiverMode.Moody)),
        ["webhooks late"] = new(nemesis => nemesis.WebhooksAsync(ReceiverMode.Late)),
        ["webhooks reset"] = new(nemesis => nemesis.WebhooksAsync(ReceiverMode.Resets)),
    };

    private Random _random = new(seed); // Of the fault that is done: a schedule repeats which silo and for how long.
    private int _injected;
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly Beats _beats = new(rig, load);

    public static IReadOnlyCollection<string> Names => Faults.Keys;

    /// <summary>Those that a campaign of so long has the time for.</summary>
    public static IReadOnlyCollection<string> NamesFor(TimeSpan duration) =>
        [.. Faults.Where(fault => !fault.Value.IsAsked && (!fault.Value.IsLong || duration >= TimeSpan.FromMinutes(20))).Select(
            fault => fault.Key)];

    public Recoveries Recoveries { get; } = new();

    /// <param name="enough">Asked before each fault.</param>
    public async Task RunAsync(TimeSpan duration, IReadOnlyCollection<string> names, Func<bool>? enough = null)
    {
        // Every kind once, in an order that the seed makes, then again.
        var order = new Random(seed);
        var bag = new Queue<string>();
        while (_watch.Elapsed < duration && enough?.Invoke() != true)
        {
            if (bag.Count == 0)
            {
                var kinds = names.ToArray();
                order.Shuffle(kinds);
                bag = new Queue<string>(kinds);
            }

            await InjectAsync(bag.Dequeue());
            await Task.Delay(order.Next(300, 1500));
        }
    }

    /// <summary>These faults in this order, each not before its time.</summary>
    public async Task RunAsync(IEnumerable<(TimeSpan At, string Name)> schedule)
    {
        foreach (var (at, name) in schedule)
        {
            var wait = at - _watch.Elapsed;
            await Task.Delay(wait > TimeSpan.Zero ? wait : TimeSpan.Zero);
            await InjectAsync(name);
        }
    }

    /// <summary>The faults that a campaign printed: the lines of its output that name one with its time.</summary>
    public static List<(TimeSpan At, string Name)> ReadSchedule(IEnumerable<string> lines) =>
    [
        .. from line in lines
           let parts = line.Split(" s  ", 2)
           where parts.Length == 2 && Faults.ContainsKey(parts[1])
           select (TimeSpan.FromSeconds(double.Parse(parts[0], CultureInfo.InvariantCulture)), parts[1]),
    ];

    private async Task InjectAsync(string name)
    {
        var fault = Faults[name];
        _random = new Random(unchecked((seed * 7919) + _injected++));
        await _beats.BeginAsync();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{_watch.Elapsed.TotalSeconds,7:F1} s  {name}"));
        var began = DateTime.UtcNow;
        try
        {
            await fault.Do(this);
        }
        catch (Exception error)
        {
            Console.WriteLine($"           not done: {error.Message}");
            if (error is not Npgsql.NpgsqlException)
            {
                load.Findings.Add("recovers", $"the fault could not be done: {name}: {error}"); // Else a deadlock with what goes on.
            }

            Recoveries.NotDone(name);
            await _beats.EndAsync();
            return;
        }

        var healed = DateTime.UtcNow;
        var from = fault.FromBeginning ? began : healed;
        var called = await load.ProbeAsync($"probe-{seed}-{_watch.ElapsedMilliseconds}", RecoveryLimit);
        var moved = await _beats.MovedAfterAsync(from, RecoveryLimit);
        var delivered = await DeliveredAsync(healed);
        if (moved > Notable || called > Notable || delivered > Notable)
        {
            Console.WriteLine($"           all went on after {Recoveries.Text(moved)} s, a new call was answered after "
                + $"{Recoveries.Text(called)} s, messages were delivered after {Recoveries.Text(delivered)} s");
        }

        await _beats.EndAsync();
        load.Findings.Looked("recovers", 1);
        if (moved > RecoveryLimit || called == TimeSpan.MaxValue || delivered == TimeSpan.MaxValue)
        {
            load.Findings.Add("recovers", $"not everything went on within {RecoveryLimit.TotalSeconds} s after: {name}");
        }

        Recoveries.Add(name, fault.Goal, fault.FromBeginning, moved, called, delivered);
    }

    /// <summary>How long after this time the last message was delivered, to both destinations, that had been written before it.</summary>
    private async Task<TimeSpan> DeliveredAsync(DateTime healed)
    {
        for (; DateTime.UtcNow - healed < RecoveryLimit; await Task.Delay(50))
        {
            try
            {
                await using var command = rig.Database.CreateCommand("select exists (select from actors.outbox where at < $1)");
                command.Parameters.Add(new Npgsql.NpgsqlParameter { Value = healed });
                if (await command.ExecuteScalarAsync() is false)
                {
                    return DateTime.UtcNow - healed;
                }
            }
            catch (Npgsql.NpgsqlException)
            {
                // Postgres is away.
            }
        }

        return TimeSpan.MaxValue;
    }

    private SiloSlot[] Some(int count)
    {
        var silos = rig.Silos.ToArray();
        _random.Shuffle(silos);
        return silos[..count];
    }

    /// <param name="Do">Returns when the fault has healed.</param>
    private sealed record Fault(Func<Nemesis, Task> Do)
    {
        /// <summary>Seconds within which all that ran should run again.</summary>
        public int? Goal { get; init; }

        /// <summary>Recovery counts from where the fault began, because the others must take over; else from its end.</summary>
        public bool FromBeginning { get; init; }

        /// <summary>Takes minutes: for campaigns of twenty and more.</summary>
        public bool IsLong { get; init; }

        /// <summary>Needs another rig: only where it is asked for by name.</summary>
        public bool IsAsked { get; init; }
    }
}
