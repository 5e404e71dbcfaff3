using System.Collections.Concurrent;
using Xunit;

namespace Actors.Outbox;

/// <summary>Random relays over the same rows, while workflows publish: first deliveries keep the order that is promised.</summary>
public sealed class OutboxOverlapTests(OutboxScene scene, ITestOutputHelper output) : IClassFixture<OutboxScene>, IAsyncLifetime
{
    private const int Workflows = 6;
    private const int Commits = 60;
    private static readonly string[] Keys = ["k0", "k1", ""];

    private readonly ConcurrentDictionary<int, Published> _published = new();
    private long _clock;
    private int _next;

    /// <summary>A message's commit, on one clock of the test: ended is set after the database said so.</summary>
    private sealed record Published(long Workflow, string Key, long Sent)
    {
        public long Ended { get; set; }
    }

    public async ValueTask InitializeAsync() => await scene.ClearAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Two_relays_that_overlap_keep_the_order_of_first_deliveries()
    {
        var seed = Environment.TickCount;
        output.WriteLine($"seed {seed}");
        var firsts = new List<int>();
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
                    firsts.Add(int.Parse(RecordingSink.Text(message)));
                }
            }
        });
        var options = OutboxScene.Quick();
        (options.PageSize, options.ReadAhead, options.InFlightMax, options.AttemptsMax) = (4, 3, 3, 10_000);
        (options.BackOffFirst, options.BackOffMax) = (TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(2));

        await using (var first = scene.Run(OutboxScene.Route(sink), options))
        await using (var second = scene.Run(OutboxScene.Route(sink), options))
        {
            await Task.WhenAll(Enumerable.Range(0, Workflows).Select(number => PublishAsync(seed + number, first, second)));
            await using var third = scene.Run(OutboxScene.Route(sink), options);
            await UntilAsync(() => seen.Count == _published.Count, sink);
        }

        Assert.Equal(_published.Keys.Order(), firsts.Order());
        var delivered = firsts.Select(value => _published[value]).ToList();
        output.WriteLine($"{delivered.Count} messages, {Ordered(delivered)} pairs of two workflows whose order is promised");
        Assert.True(Ordered(delivered) > 1_000);
        Assert.All(delivered.GroupBy(message => (message.Workflow, message.Key)), lane =>
            Assert.Equal(lane.OrderBy(message => message.Sent), lane));
        Assert.All(delivered.Where(message => message.Key != "").GroupBy(message => message.Key), lane =>
        {
            // None that is delivered later had ended before this one was sent.
            var endedLater = long.MaxValue;
            foreach (var message in lane.Reverse())
            {
                Assert.True(endedLater > message.Sent, $"delivered too early: {message}");
                endedLater = Math.Min(endedLater, message.Ended);
            }
        });
    }

    private static int Ordered(List<Published> all) => all.Where(one => one.Key != "").Sum(one =>
        all.Count(other => one.Key == other.Key && one.Workflow != other.Workflow && one.Ended < other.Sent));

    // Transactions that stay open for a while, so that ids of several workflows commit out of order; some abort.
    private async Task PublishAsync(int seed, RunningRelay first, RunningRelay second)
    {
        var cancel = TestContext.Current.CancellationToken;
        var random = new Random(seed);
        var workflow = await scene.WorkflowAsync();
        await using var connection = await scene.DataSource.OpenConnectionAsync(cancel);
        for (var commit = 0; commit < Commits; commit++)
        {
            var messages = new List<(int Value, Published Message)>();
            await using var transaction = await connection.BeginTransactionAsync(cancel);
            for (var count = random.Next(1, 4); count > 0; count--)
            {
                var message = new Published(workflow, Keys[random.Next(Keys.Length)], Interlocked.Increment(ref _clock));
                messages.Add((Interlocked.Increment(ref _next), message));
                await OutboxScene.PublishAsync(transaction, workflow, message.Key, messages[^1].Value);
            }

            if (random.Next(8) == 0)
            {
                await transaction.RollbackAsync(cancel);
                continue;
            }

            await transaction.CommitAsync(cancel);
            var ended = Interlocked.Increment(ref _clock);
            foreach (var (value, message) in messages)
            {
                message.Ended = ended;
                _published[value] = message;
            }

            (random.Next(2) == 0 ? first : second).Relay.Wake();
        }
    }

    private static async Task UntilAsync(Func<bool> reached, RecordingSink sink)
    {
        for (var count = sink.Delivered.Count; !reached(); count++)
        {
            await sink.UntilDeliveredAsync(count + 1);
        }
    }
}
