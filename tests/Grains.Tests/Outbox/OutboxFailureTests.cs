using Actors.Storage;
using Xunit;

namespace Actors.Outbox;

/// <summary>What the relay promises while sinks fail.</summary>
public sealed class OutboxFailureTests(OutboxScene scene) : IClassFixture<OutboxScene>, IAsyncLifetime
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await scene.ClearAsync();

    public async ValueTask DisposeAsync() => await scene.MoveTimeAsync(TimeSpan.Zero);

    private static Task Fail() => throw new InvalidOperationException("no");

    [Fact]
    public async Task A_dead_destination_with_a_backlog_does_not_delay_another()
    {
        var workflow = await scene.WorkflowAsync();
        await scene.ExecuteAsync($"""
            insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key, payload)
            select {workflow}, actors.lane_of({workflow}, 'dead', 'k' || n % 2500), actors.now(), n, 'dead', 'orders', 'k' || n % 2500, to_json(n)
            from generate_series(100000, 104999) n
            """);
        await scene.PublishAsync(workflow, "k", 0, count: 200);
        var hanging = new RecordingSink((_, cancellation) => Task.Delay(Timeout.Infinite, cancellation));
        var good = new RecordingSink();
        await using (var running = scene.Run(new OutboxRoutes().Add("dead", hanging, "*").Add("hook", good, "*")))
        {
            await good.UntilDeliveredAsync(200);
        }

        Assert.Equal(Enumerable.Range(0, 200).Select(value => $"{value}"), good.Texts);
        Assert.InRange(hanging.Attempts.Count, 0, new OutboxOptions().InFlightMax);
        Assert.Equal(5_000, await scene.ReadAsync<long>("select count(*) from actors.outbox"));
    }

    [Fact]
    public async Task A_failing_key_with_a_backlog_of_many_pages_does_not_stop_other_keys()
    {
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "bad", 0, count: 3_000);
        await scene.PublishAsync(workflow, "good", 10_000, count: 100);
        var sink = new RecordingSink((message, _) => message.Key == "bad" ? Fail() : Task.CompletedTask);
        var options = OutboxScene.Quick();
        (options.PageSize, options.ReadAhead, options.AttemptsMax) = (10, 5, 10_000);
        await using (scene.Run(OutboxScene.Route(sink), options))
        {
            await sink.UntilDeliveredAsync(100);
        }

        Assert.Equal(Enumerable.Range(10_000, 100).Select(value => $"{value}"), sink.Texts);
        Assert.All(sink.Attempts.Where(message => message.Key == "bad"), message => Assert.Equal("0", RecordingSink.Text(message)));
    }

    [Fact]
    public async Task More_failing_keys_than_a_page_do_not_stop_other_keys()
    {
        var workflow = await scene.WorkflowAsync();
        for (var key = 0; key < 50; key++)
        {
            await scene.PublishAsync(workflow, $"bad-{key}", 0, count: 20);
        }

        await scene.PublishAsync(workflow, "good", 10_000, count: 20);
        var sink = new RecordingSink((message, _) => message.Key != "good" ? Fail() : Task.CompletedTask);
        var options = OutboxScene.Quick();
        (options.PageSize, options.ReadAhead, options.AttemptsMax) = (4, 5, 10_000);
        await using (scene.Run(OutboxScene.Route(sink), options))
        {
            await sink.UntilDeliveredAsync(20);
        }

        Assert.Equal(Enumerable.Range(10_000, 20).Select(value => $"{value}"), sink.Texts);
    }

    [Fact]
    public async Task The_id_stays_over_attempts_and_the_lane_waits()
    {
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "k", 0, count: 3);
        var sink = new RecordingSink((message, _) => message.Attempt < 4 ? Fail() : Task.CompletedTask);
        await using (scene.Run(OutboxScene.Route(sink)))
        {
            await sink.UntilDeliveredAsync(3);
        }

        Assert.Equal(["0", "0", "0", "0", "1", "1", "1", "1", "2", "2", "2", "2"], sink.Attempts.Select(RecordingSink.Text));
        Assert.Equal([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4], sink.Attempts.Select(message => message.Attempt));
        Assert.Equal(3, sink.Attempts.Select(message => message.Id).Distinct().Count());
    }

    [Fact]
    public async Task A_failing_message_holds_up_its_key_for_all_workflows_and_no_other()
    {
        var (first, second) = (await scene.WorkflowAsync(), await scene.WorkflowAsync());
        await scene.PublishAsync(first, "k", 1);
        await scene.PublishAsync(second, "k", 2);
        await scene.PublishAsync(first, "k", 3);
        await scene.PublishAsync(second, "other", 10);
        await scene.PublishAsync(first, "", 20);
        var (healed, tried, again) = (false, 0, new TaskCompletionSource());
        var sink = new RecordingSink((message, _) =>
        {
            if (RecordingSink.Text(message) != "1" || Volatile.Read(ref healed))
            {
                return Task.CompletedTask;
            }

            if (Interlocked.Increment(ref tried) == 10)
            {
                again.TrySetResult();
            }

            return Fail();
        });
        var options = OutboxScene.Quick();
        options.AttemptsMax = 10_000;
        await using (scene.Run(OutboxScene.Route(sink), options))
        await using (scene.Run(OutboxScene.Route(sink), options))
        {
            await again.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
            await UntilAsync(sink, "10", "20");
            Assert.Equal(["10", "20"], sink.Texts.Distinct().Order());
            await scene.PublishAsync(second, "k", 4);
            Volatile.Write(ref healed, true);
            await UntilAsync(sink, "4");
        }

        Assert.Equal(["1", "2", "3", "4"], sink.Delivered.Where(message => message.Key == "k").Select(RecordingSink.Text).Distinct());
    }

    [Fact]
    public async Task Without_a_key_a_failing_message_holds_up_its_own_workflow_alone()
    {
        var (failing, other) = (await scene.WorkflowAsync(), await scene.WorkflowAsync());
        await scene.PublishAsync(failing, "", 0, count: 2);
        await scene.PublishAsync(other, "", 10, count: 2);
        var healed = false;
        var sink = new RecordingSink(
            (message, _) => RecordingSink.Text(message) != "0" || Volatile.Read(ref healed) ? Task.CompletedTask : Fail());
        var options = OutboxScene.Quick();
        options.AttemptsMax = 10_000;
        await using var running = scene.Run(OutboxScene.Route(sink), options);
        await sink.UntilDeliveredAsync(2);
        Assert.Equal(["10", "11"], sink.Texts);
        Volatile.Write(ref healed, true);
        await sink.UntilDeliveredAsync(4);
        Assert.Equal(["10", "11", "0", "1"], sink.Texts);
    }

    [Fact]
    public async Task Back_off_outlives_the_relay()
    {
        var (failing, other) = (await scene.WorkflowAsync(), await scene.WorkflowAsync());
        await scene.PublishAsync(failing, "failing", 1);
        var options = OutboxScene.Quick();
        (options.BackOffFirst, options.BackOffMax) = (TimeSpan.FromHours(1), TimeSpan.FromHours(1));
        var attempted = new TaskCompletionSource();
        await using (scene.Run(OutboxScene.Route(new RecordingSink((_, _) => { attempted.TrySetResult(); return Fail(); })), options))
        {
            await attempted.Task;
            while (await scene.ReadAsync<short>($"select attempts from actors.outbox where instance = {failing}") == 0)
            {
                await Task.Delay(10, TestContext.Current.CancellationToken); // A relay that stops in the same moment need not count it.
            }
        }

        var sink = new RecordingSink();
        await scene.PublishAsync(other, "k", 2);
        await using (scene.Run(OutboxScene.Route(sink), options))
        {
            await scene.PublishAsync(other, "k", 3);
            await sink.UntilDeliveredAsync(2);
            Assert.Equal(["2", "3"], sink.Texts);
        }

        await scene.MoveTimeAsync(TimeSpan.FromHours(1));
        await using (scene.Run(OutboxScene.Route(sink), options))
        {
            await sink.UntilDeliveredAsync(3);
        }

        Assert.Equal((failing, 2), (long.Parse(sink.Delivered[2].Workflow.Id[2..]), sink.Delivered[2].Attempt));
    }

    [Fact]
    public async Task A_failure_that_another_relay_left_behind_is_retried_when_it_is_due()
    {
        var sink = new RecordingSink();
        var (left, other) = (await scene.WorkflowAsync(), await scene.WorkflowAsync());
        await using var running = scene.Run(OutboxScene.Route(sink));
        await scene.PublishAsync(other, "other", 1);
        await sink.UntilDeliveredAsync(1);   // it has looked for failed rows, and found none
        await scene.ExecuteAsync($"""
            insert into actors.outbox (instance, lane, at, next_at, attempts, ordinal, destination, topic, key, payload)
            values ({left}, actors.lane_of({left}, 'hook', 'k'), actors.now(), actors.now() + interval '1 hour', 1, 1, 'hook', 'orders', 'k', '2')
            """);
        await scene.PublishAsync(left, "k", 3);
        await scene.PublishAsync(other, "other", 4);
        await sink.UntilDeliveredAsync(2);
        Assert.Equal(["1", "4"], sink.Texts);
        await scene.MoveTimeAsync(TimeSpan.FromHours(1));
        await sink.UntilDeliveredAsync(4);
        Assert.Equal(["1", "4", "2", "3"], sink.Texts);
    }

    [Fact]
    public async Task A_dead_letter_lets_its_lane_go_on_and_is_driven_again()
    {
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "k", 0, "counted", count: 4);
        var healed = false;
        var sink = new RecordingSink((message, _) => !Volatile.Read(ref healed) && RecordingSink.Text(message) is "0" or "1"
            ? throw new InvalidOperationException("no \0 luck") : Task.CompletedTask);
        var options = OutboxScene.Quick();
        options.AttemptsMax = 3;
        var counts = new System.Collections.Concurrent.ConcurrentDictionary<string, long>();
        using var listener = new System.Diagnostics.Metrics.MeterListener();
        listener.InstrumentPublished = (instrument, self) => self.EnableMeasurementEvents(instrument);
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            if (instrument.Meter.Name == "Actors" && tags.Length == 1
                && Equals(tags[0], new KeyValuePair<string, object?>("destination", "counted")))
            {
                counts.AddOrUpdate(instrument.Name, value, (_, sum) => sum + value);
            }
        });
        listener.Start();
        await using var running = scene.Run(OutboxScene.Route(sink, "counted"), options);
        await sink.UntilDeliveredAsync(2);
        Assert.Equal(["2", "3"], sink.Texts);
        Assert.Equal(["0", "0", "0", "1", "1", "1", "2", "3"], sink.Attempts.Select(RecordingSink.Text));
        Assert.Equal("System.InvalidOperationException: no \uFFFD luck|3",
            await scene.ReadAsync<string>("select min(reason || '|' || attempts) from actors.dead_letters having count(*) = 2"));

        Assert.Equal((2, 6, 2), (counts["actors.outbox.delivered"], counts["actors.outbox.failed"], counts["actors.outbox.dead_lettered"]));

        IDeadLetters letters = new DeadLetters(new OutboxTable(scene.DataSource), running.Relay);
        var first = Assert.Single(await letters.ListAsync("counted", most: 1, cancellation: Cancel));
        var second = Assert.Single(await letters.ListAsync("counted", first.Id, cancellation: Cancel));
        Assert.Empty(await letters.ListAsync("counted", second.Id, cancellation: Cancel));
        Assert.Empty(await letters.ListAsync("other", cancellation: Cancel));
        Assert.Equal(
            [(sink.Attempts.First().Id, "k", 3), (sink.Attempts.ElementAt(3).Id, "k", 3)],
            new[] { first, second }.Select(letter => (letter.MessageId, letter.Key, letter.Attempts)));
        Assert.Equal("System.InvalidOperationException: no \uFFFD luck", first.Reason);
        Assert.InRange(first.DiedAt, first.At, first.At.AddMinutes(5));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => letters.ListAsync("counted", most: 0, cancellation: Cancel));

        Volatile.Write(ref healed, true);
        Assert.Equal(0, await letters.RedriveAsync("other", Cancel));
        Assert.Equal(2, await letters.RedriveAsync("counted", Cancel));
        await sink.UntilDeliveredAsync(4);
        Assert.Equal(["2", "3", "0", "1"], sink.Texts);
        Assert.Equal(1, sink.Delivered[2].Attempt);
        Assert.Equal(sink.Attempts.First().Id, sink.Delivered[2].Id);
        Assert.Equal(0, await scene.ReadAsync<long>("select count(*) from actors.dead_letters"));
    }

    [Fact]
    public async Task A_permanent_failure_is_a_dead_letter_at_once()
    {
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "k", 0, count: 2);
        var sink = new RecordingSink((message, _) => RecordingSink.Text(message) == "0"
            ? throw new OutboxDeliveryException("gone", isPermanent: true) : Task.CompletedTask);
        await using var running = scene.Run(OutboxScene.Route(sink));
        await sink.UntilDeliveredAsync(1);
        Assert.Equal(["0", "1"], sink.Attempts.Select(RecordingSink.Text));
    }

    [Fact]
    public async Task A_sink_that_ignores_its_time_out_fails_and_frees_its_place()
    {
        var workflow = await scene.WorkflowAsync();
        await scene.PublishAsync(workflow, "k", 1);
        var options = OutboxScene.Quick();
        (options.DeliveryTimeout, options.InFlightMax) = (TimeSpan.FromMilliseconds(10), 1);
        var sink = new RecordingSink((message, _) => message.Attempt == 1 ? new TaskCompletionSource().Task : Task.CompletedTask);
        await using var running = scene.Run(OutboxScene.Route(sink), options);
        await sink.UntilDeliveredAsync(1);
        Assert.True(sink.Delivered[0].Attempt > 1);
    }

    [Fact]
    public async Task A_failure_that_throws_when_it_is_asked_is_one_like_any_other()
    {
        await scene.PublishAsync(await scene.WorkflowAsync(), "k", 7);
        var sink = new RecordingSink(
            (message, _) => message.Attempt == 1 ? throw new Grains.Tests.Execution.MisbehaviourTests.Unspeakable() : Task.CompletedTask);
        await using var running = scene.Run(OutboxScene.Route(sink));
        await sink.UntilDeliveredAsync(1);
        Assert.Equal(2, sink.Delivered[0].Attempt);
    }

    // Two relays may deliver twice.
    private static async Task UntilAsync(RecordingSink sink, params string[] texts)
    {
        for (var count = sink.Delivered.Count; texts.Except(sink.Texts).Any(); count++)
        {
            await sink.UntilDeliveredAsync(count + 1);
        }
    }

    [Theory]
    [InlineData(1, 0, 50, 100)]
    [InlineData(3, 0, 200, 400)]
    [InlineData(500, 0, 500, 1_000)]
    [InlineData(1, 700, 700, 700)]
    [InlineData(1, 5_000, 1_000, 1_000)]
    public void Back_off_doubles_up_to_the_cap_with_jitter_and_heeds_the_receiver(int attempt, int askedMs, int minMs, int maxMs)
    {
        var options = new OutboxOptions { BackOffFirst = TimeSpan.FromMilliseconds(100), BackOffMax = TimeSpan.FromSeconds(1) };
        var error = new OutboxDeliveryException("busy", TimeSpan.FromMilliseconds(askedMs));
        Assert.All(Enumerable.Range(0, 100), _ => Assert.InRange(BackOff.After(attempt, error, options).TotalMilliseconds, minMs, maxMs));
    }
}
