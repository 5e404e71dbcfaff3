using System.Collections.Concurrent;
using Dapper;
using Npgsql;

namespace Actors.Orders.MainJob;

/// <summary>
/// Plays the carrier: looks for orders that are placed, and some time later signals the shipment of those that ship. Each signal
/// carries an id made of the order's, so a carrier that asks again after a crash changes nothing.
/// </summary>
internal sealed class Carrier(IWorkflowClient workflows, NpgsqlDataSource database, IEnumerable<Order> orders, int seed)
{
    internal const string MessagePrefix = "ship-";

    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan SlowestPickup = TimeSpan.FromMilliseconds(800);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    private readonly HashSet<string> _waiting = [.. orders.Where(order => order.Ships).Select(order => order.Id)];
    private readonly ConcurrentDictionary<string, bool> _acknowledged = new(StringComparer.Ordinal);
    private readonly Random _random = new(seed);

    /// <summary>Orders whose signal was acknowledged.</summary>
    public IReadOnlyCollection<string> Acknowledged => [.. _acknowledged.Keys];

    /// <summary>Runs until cancelled; ends then without an error.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(LookEvery);
        var pickups = new List<Task>();
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
            {
                pickups.RemoveAll(pickup => pickup.IsCompletedSuccessfully);
                await using var connection = await database.OpenConnectionAsync(stop);
                foreach (var id in await connection.QueryAsync<string>(new CommandDefinition(OrderSql.Get("read_placed"), cancellationToken: stop)))
                {
                    if (_waiting.Remove(id))
                    {
                        pickups.Add(ShipAsync(id, SlowestPickup * _random.NextDouble(), stop));
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(pickups).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }

    private async Task ShipAsync(string id, TimeSpan after, CancellationToken stop)
    {
        await Task.Delay(after, stop);
        var order = workflows.Get<IOrderWorkflow>(id);
        var shipment = new Shipment($"track-{id}");
        while (true)
        {
            try
            {
                await order.SignalAsync(workflow => workflow.Ship(shipment), MessagePrefix + id, stop);
                _acknowledged[id] = true;
                return;
            }
            catch (WorkflowEndedException)
            {
                return;     // declined, or the carrier came too late
            }
            catch (ActorsException error) when (error.IsTransient)
            {
                await Task.Delay(Pause, stop);
            }
        }
    }
}
