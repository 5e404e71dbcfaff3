using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Actors.Storage;
using Npgsql;

namespace Actors.Benchmarks;

public interface ITeller : IWorkflow<int, int>;

/// <summary>One message under a key of its own, and the end.</summary>
public sealed class Teller : Workflow<int, int>, ITeller
{
    protected override Task<int> RunAsync(int input)
    {
        Publish("bench", Id.Id, input);
        return Task.FromResult(input);
    }
}

/// <summary>What others wait for somebody's open transaction, and a message for a relay at rest.</summary>
internal static class Waits
{
    private const int Rounds = 10;
    private const int Starts = 200;
    private const int Signals = 50;
    private const int Silos = 3;
    private const int Messages = 200;

    public static async Task<string> MeasureAsync(SiloUnderTest silo, string connectionString)
    {
        var text = new Lines($"Who waits for whom");
        await using var source = NpgsqlDataSource.Create(connectionString);
        await LocksAsync(silo, source, "warm");
        var (starts, signals) = (new ConcurrentBag<long>(), new ConcurrentBag<long>());
        for (var round = 0; round < Rounds; round++)
        {
            await LocksAsync(silo, source, $"round-{round}", starts, signals);
        }

        text.Add($"beside a transaction that holds the id of one of {Starts} starts open, {Rounds} rounds: the other starts are answered after {Times(starts)}, {Signals} signals to other runs after {Times(signals)}");
        text.Add($"a message on {Silos} silos at rest, {Messages} of them one by one, from its commit to its sink: {Times(await DeliveriesAsync(silo, connectionString))}");
        return text.ToString();
    }

    private static async Task LocksAsync(
        SiloUnderTest silo, NpgsqlDataSource source, string name, ConcurrentBag<long>? startTicks = null, ConcurrentBag<long>? signalTicks = null)
    {
        var listeners = Enumerable.Range(0, Signals).Select(n => silo.Workflows.Get<IListener>($"{name}-listens-{n}")).ToList();
        await Task.WhenAll(listeners.Select(listener => listener.StartAsync(0)));
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await silo.Workflows.Get<IOneStep>($"{name}-0").StartAsync(0, transaction);
        var held = silo.Workflows.Get<IOneStep>($"{name}-0").StartAsync(0);
        await Task.WhenAll(
            Task.WhenAll(Enumerable.Range(1, Starts - 1).Select(n => TimeAsync(startTicks, () => silo.Workflows.Get<IOneStep>($"{name}-{n}").StartAsync(n)))),
            Task.WhenAll(listeners.Select(listener => TimeAsync(signalTicks, () => listener.SignalAsync(l => l.Ring())))));
        if (held.IsCompleted)
        {
            throw new InvalidOperationException("The start whose id is held was answered.");
        }

        await transaction.CommitAsync();
        await held;
        await Task.WhenAll(listeners.Select(listener => listener.SendAsync("go on", false)));
    }

    private static async Task<ConcurrentBag<long>> DeliveriesAsync(SiloUnderTest silo, string connectionString)
    {
        var arrived = new ConcurrentDictionary<string, TaskCompletionSource<long>>();
        SiloUnderTest.OnDelivered = message =>
        {
            if (arrived.TryGetValue(message.Key, out var arrival))
            {
                arrival.TrySetResult(Stopwatch.GetTimestamp());
            }
        };
        await using var second = await SiloUnderTest.StartAsync(connectionString, delivers: true);
        await using var third = await SiloUnderTest.StartAsync(connectionString, delivers: true);
        while (new[] { silo, second, third }.Any(one => one.Partitions is 0 or > Partition.Count / 2))
        {
            await Task.Delay(100); // Until each delivers for a third of the lanes.
        }

        var ticks = new ConcurrentBag<long>();
        for (var n = 0; n < Messages; n++)
        {
            var key = $"tells-{n}";
            var arrival = arrived[key] = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
            var teller = silo.Workflows.Get<ITeller>(key);
            await teller.StartAsync(n);
            await teller.ResultAsync();
            var committed = Stopwatch.GetTimestamp();
            ticks.Add(Math.Max(0, await arrival.Task - committed));
            await Task.Delay(Random.Shared.Next(100, 300)); // So that the relays rest.
        }

        return ticks;
    }

    private static async Task TimeAsync(ConcurrentBag<long>? ticks, Func<Task> call)
    {
        var began = Stopwatch.GetTimestamp();
        await call();
        ticks?.Add(Stopwatch.GetTimestamp() - began);
    }

    private static string Times(ConcurrentBag<long> ticks) => string.Create(CultureInfo.InvariantCulture,
        $"p50 {SiloUnderTest.Percentile(ticks, 0.5):0.0}, p99 {SiloUnderTest.Percentile(ticks, 0.99):0.0}, at most {SiloUnderTest.Percentile(ticks, 1):0.0} ms");
}
