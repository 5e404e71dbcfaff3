using System.Collections.Concurrent;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Actors.Outbox;

/// <summary>Sinks that take many messages a call, and sinks that services go into.</summary>
public sealed class OutboxBatchTests(OutboxScene scene) : IClassFixture<OutboxScene>
{
    [Fact]
    public async Task A_call_takes_what_is_ready_of_many_lanes_each_in_order()
    {
        await scene.ClearAsync();
        var workflow = await scene.WorkflowAsync();
        for (var lane = 0; lane < 8; lane++)
        {
            await scene.PublishAsync(workflow, $"k{lane}", 100 * lane, count: 30);
        }

        var sink = new BatchSink(25);
        await using (scene.Run(OutboxScene.Route(sink), new OutboxOptions { InFlightMax = 2, ReadAhead = 20 }))
        {
            await sink.UntilDeliveredAsync(240);
        }

        Assert.All(sink.Calls, call => Assert.InRange(call.Count, 1, 25));
        Assert.Contains(sink.Calls, call => call.Count == 25 && call.Select(message => message.Key).Distinct().Count() > 1);
        Assert.InRange(sink.Calls.Count, 10, 60); // Alone they would be 240.
        Assert.InRange(sink.MostAtATime, 1, 2);
        Assert.All(sink.Delivered.GroupBy(message => message.Key), lane => Assert.Equal(
            Enumerable.Range(0, 30).Select(n => $"{(100 * int.Parse(lane.Key[1..], null)) + n}"), lane.Select(RecordingSink.Text)));
        Assert.Equal(0L, await scene.ReadAsync<long>("select count(*) from actors.outbox"));
    }

    [Fact]
    public async Task A_message_that_fails_holds_up_its_own_lane_and_no_other_whatever_is_said_of_those_behind_it()
    {
        await scene.ClearAsync();
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "a", 1, count: 3);
        await scene.PublishAsync(workflow, "b", 11, count: 3);
        var refused = 0;
        var sink = new BatchSink(10)
        {
            Outcome = message => RecordingSink.Text(message) == "2" && Interlocked.Increment(ref refused) == 1
                ? DeliveryOutcome.Failed(new OutboxDeliveryException("full")) : DeliveryOutcome.Delivered,
        };
        await using (scene.Run(OutboxScene.Route(sink)))
        {
            await sink.UntilDeliveredAsync(7); // 3 twice: the sink took it too early, which it was told not to count.
        }

        Assert.Equal(["1", "3", "2", "3"], sink.Delivered.Where(message => message.Key == "a").Select(RecordingSink.Text));
        Assert.Equal(["11", "12", "13"], sink.Delivered.Where(message => message.Key == "b").Select(RecordingSink.Text));
        Assert.Equal([1, 2], sink.Calls.SelectMany(call => call).Where(message => RecordingSink.Text(message) == "2").Select(
            message => message.Attempt));
        Assert.All(sink.Calls.SelectMany(call => call).Where(message => RecordingSink.Text(message) == "3"), message =>
            Assert.Equal(1, message.Attempt)); // Not tried, says the outbox.
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_call_that_fails_is_an_attempt_of_the_first_message_of_each_lane(bool answersForTooFew)
    {
        await scene.ClearAsync();
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "a", 1, count: 2);
        await scene.PublishAsync(workflow, "b", 11, count: 2);
        var sink = new BatchSink(10) { FailsAtFirst = !answersForTooFew, AnswersForTooFewAtFirst = answersForTooFew };
        await using (scene.Run(OutboxScene.Route(sink)))
        {
            await sink.UntilDeliveredAsync(answersForTooFew ? 8 : 4);
        }

        var attempts = sink.Calls.SelectMany(call => call).GroupBy(RecordingSink.Text).ToDictionary(
            message => message.Key, message => message.Max(one => one.Attempt));
        Assert.Equal((2, 1, 2, 1), (attempts["1"], attempts["2"], attempts["11"], attempts["12"]));
    }

    [Fact]
    public async Task A_message_that_makes_whole_calls_fail_takes_no_other_lane_s_messages_with_it()
    {
        await scene.ClearAsync();
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "poison", 1);
        await scene.PublishAsync(workflow, "b", 11, count: 3);
        await scene.PublishAsync(workflow, "c", 21, count: 3);
        var sink = new BatchSink(10) { FailsWith = message => RecordingSink.Text(message) == "1" };
        var options = OutboxScene.Quick();
        options.AttemptsMax = 4;
        await using (scene.Run(OutboxScene.Route(sink), options))
        {
            await sink.UntilDeliveredAsync(6);
            while (await scene.ReadAsync<long>("select count(*) from actors.outbox") > 0)
            {
                await Task.Delay(10, TestContext.Current.CancellationToken);
            }
        }

        Assert.Equal("poison", await scene.ReadAsync<string>("select string_agg(key, ' ') from actors.dead_letters"));
        Assert.Equal(["11", "12", "13"], sink.Delivered.Where(message => message.Key == "b").Select(RecordingSink.Text));
        Assert.InRange(sink.Calls.SelectMany(call => call).Max(message => message.Key == "poison" ? 0 : message.Attempt), 1, 2);
        Assert.All(sink.Calls.Where(call => call[0].Attempt > 1), call => Assert.Single(call.Select(message => message.Key).Distinct()));
    }

    [Fact]
    public async Task How_many_a_sink_takes_is_asked_once()
    {
        await scene.ClearAsync();
        await scene.PublishAsync(await scene.WorkflowAsync(), "a", 1, count: 8);
        var sink = new BatchSink(3) { SizeLater = 0 };
        await using (scene.Run(OutboxScene.Route(sink)))
        {
            await sink.UntilDeliveredAsync(8);
        }

        Assert.All(sink.Calls, call => Assert.InRange(call.Count, 1, 3));
    }

    [Fact]
    public void A_factory_that_makes_nothing_is_named() => Assert.Contains(
        "destination 'd': its factory returned null",
        Assert.Throws<InvalidOperationException>(() => new OutboxRoutes().Add("d", _ => null!, "*").Made().ToList()).Message,
        StringComparison.Ordinal);

    [Fact]
    public async Task Services_go_into_a_sink_that_is_made_once_and_disposed_of_with_them()
    {
        var (routes, services) = (new OutboxRoutes(), new ServiceCollection());
        var made = 0;
        routes.Add("made", provider =>
        {
            made++;
            return new DisposableSink(provider.GetRequiredService<TimeProvider>());
        }, "*");
        services.AddSingleton(TimeProvider.System);
        routes.Register(services);
        DisposableSink sink;
        await using (var provider = services.BuildServiceProvider())
        {
            sink = Assert.IsType<DisposableSink>(Assert.Single(routes.Sinks(provider)).Sink);
            Assert.Same(sink, routes.Sinks(provider).Single().Sink);
            Assert.Same(TimeProvider.System, sink.Time);
            Assert.False(sink.IsDisposed);
        }

        Assert.True(sink.IsDisposed);
        Assert.Equal(1, made);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1_001)]
    public void A_sink_that_takes_none_or_too_many_is_refused_at_the_start(int size) => Assert.Contains(
        "destination 'd': BatchSizeMax is 1 to 1,000",
        Assert.Throws<InvalidOperationException>(() => new OutboxRoutes().Add("d", new BatchSink(size), "*").Made().ToList()).Message,
        StringComparison.Ordinal);

    private sealed class DisposableSink(TimeProvider time) : OneByOneSink, IDisposable
    {
        public TimeProvider Time { get; } = time;

        public bool IsDisposed { get; private set; }

        public override Task DeliverAsync(OutboxMessage message, CancellationToken cancellation) => Task.CompletedTask;

        public void Dispose() => IsDisposed = true;
    }

    private sealed class BatchSink(int size) : IOutboxSink
    {
        private readonly RecordingSink _taken = new();
        private int _calls;
        private int _asked;
        private int _now;
        private int _most;

        public Func<OutboxMessage, DeliveryOutcome> Outcome { get; init; } = _ => DeliveryOutcome.Delivered;

        public bool FailsAtFirst { get; init; }

        public bool AnswersForTooFewAtFirst { get; init; }

        public ConcurrentQueue<IReadOnlyList<OutboxMessage>> Calls { get; } = new();

        public int MostAtATime => _most;

        public int? SizeLater { get; init; }

        public Func<OutboxMessage, bool> FailsWith { get; init; } = _ => false;

        public int BatchSizeMax => Interlocked.Increment(ref _asked) == 1 ? size : SizeLater ?? size;

        public IReadOnlyList<OutboxMessage> Delivered => _taken.Delivered;

        public Task UntilDeliveredAsync(int count) => _taken.UntilDeliveredAsync(count);

        public async Task<IReadOnlyList<DeliveryOutcome>> DeliverAsync(
            IReadOnlyList<OutboxMessage> messages, CancellationToken cancellation)
        {
            Calls.Enqueue(messages);
            var first = Interlocked.Increment(ref _calls) == 1;
            InterlockedMax(Interlocked.Increment(ref _now));
            await Task.Yield();
            try
            {
                if ((first && FailsAtFirst) || messages.Any(FailsWith))
                {
                    throw new OutboxDeliveryException("away");
                }

                var outcomes = new List<DeliveryOutcome>();
                foreach (var message in messages)
                {
                    outcomes.Add(Outcome(message));
                    if (outcomes[^1].Error is null)
                    {
                        await _taken.DeliverAsync(message, cancellation);
                    }
                }

                return first && AnswersForTooFewAtFirst ? outcomes[1..] : outcomes;
            }
            finally
            {
                Interlocked.Decrement(ref _now);
            }
        }

        private void InterlockedMax(int now)
        {
            for (var most = _most; now > most; most = _most)
            {
                Interlocked.CompareExchange(ref _most, now, most);
            }
        }
    }
}
