using System.Collections.Concurrent;
using Xunit;

namespace Actors.Outbox;

/// <summary>Random relays over the same rows, while workflows publish: first deliveries keep the order of each lane.</summary>
public sealed class OutboxOverlapTests(OutboxScene scene, ITestOutputHelper output) : IClassFixture<OutboxScene>, IAsyncLifetime
{
    private const int Workflows = 6;
    private const int Commits = 60;

    public async ValueTask InitializeAsync() => await scene.ClearAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Two_relays_that_overlap_keep_the_order_of_first_deliveries()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var firsts = new ConcurrentDictionary<(WorkflowId, string), ConcurrentQueue<int>>();
        var seen = new ConcurrentDictionary<string, bool>();
        var sink = new RecordingSink(async (message, _) =>
        {
            // A pure function of the attempt, so that threads do not change what the seed means.
            var dice = new Random(HashCode.Combine(seed, message.Id, message.Attempt));
            for (var turns = dice.Next(4); turns > 0; turns--)
            {
                await Task.Yield();
            }

            if (dice.Next(10) == 0)
            {
                throw new InvalidOperationException("thrown by the dice");
            }

            // Both relays may stand here with the same message: the first of them counts.
            lock (firsts)
            {
                if (seen.TryAdd(message.Id, true))
                {
                    firsts.GetOrAdd((message.Workflow, message.Key), _ => new()).Enqueue(int.Parse(RecordingSink.Text(message)));
                }
            }
        });
        var options = OutboxScene.Quick();
        (options.PageSize, options.ReadAhead, options.InFlightMax, options.AttemptsMax) = (4, 3, 3, 10_000);
        (options.BackOffFirst, options.BackOffMax) = (TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(2));

        var published = 0;
        await using (var first = scene.Run(OutboxScene.Route(sink), options))
        await using (var second = scene.Run(OutboxScene.Route(sink), options))
        {
            published = (await Task.WhenAll(Enumerable.Range(0, Workflows).Select(number => PublishAsync(seed + number, first, second)))).Sum();
            await using var third = scene.Run(OutboxScene.Route(sink), options);
            await UntilAsync(() => seen.Count == published, sink);
        }

        Assert.All(firsts.Values, lane => Assert.Equal(lane.Order(), lane));
        Assert.Equal(published, firsts.Values.Sum(lane => lane.Count));
    }

    // Transactions that stay open for a while, so that ids of several workflows commit out of order; some abort.
    private async Task<int> PublishAsync(int seed, RunningRelay first, RunningRelay second)
    {
        var cancel = TestContext.Current.CancellationToken;
        var random = new Random(seed);
        var workflow = await scene.WorkflowAsync();
        await using var connection = await scene.DataSource.OpenConnectionAsync(cancel);
        var published = 0;
        for (var commit = 0; commit < Commits; commit++)
        {
            await using var transaction = await connection.BeginTransactionAsync(cancel);
            var count = random.Next(1, 4);
            for (var message = 0; message < count; message++)
            {
                await OutboxScene.PublishAsync(transaction, workflow, $"k{random.Next(2)}", commit * 10 + message);
            }

            if (random.Next(8) == 0)
            {
                await transaction.RollbackAsync(cancel);
                continue;
            }

            await transaction.CommitAsync(cancel);
            published += count;
            (random.Next(2) == 0 ? first : second).Relay.Nudge();
        }

        return published;
    }

    private static async Task UntilAsync(Func<bool> reached, RecordingSink sink)
    {
        while (!reached())
        {
            await sink.UntilDeliveredAsync(sink.Delivered.Count + 1);
        }
    }
}
