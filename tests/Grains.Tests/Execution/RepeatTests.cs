using Actors.Calling;
using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Whatever a caller repeats with the same ids takes effect once, in whichever run of the workflow the repeat comes.</summary>
public sealed class RepeatTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static readonly Script HearOne = new(async w =>
    {
        await w.WaitUntil(() => w.Heard.Count > 0);
        return string.Join(",", w.Heard);
    });

    [Theory]
    [InlineData(StartPolicy.StartNew)]
    [InlineData(StartPolicy.Reject)]
    public async Task A_repeated_start_answers_with_the_run_that_it_made(StartPolicy policy)
    {
        var id = $"repeated {policy}";
        await using var engine = await database.ScriptAsync(w => Task.FromResult(w.Input));
        var first = await StartAsync(engine, id, policy, "r-1");
        var running = await StartAsync(engine, id, policy, "r-1");
        await engine.ResultAsync<string>(id);
        var ended = await StartAsync(engine, id, policy, "r-1");
        Assert.Equal([(first.Run, true), (first.Run, true)], [(running.Run, running.Started), (ended.Run, ended.Started)]);
        Assert.Equal(1, await RunsAsync(id));
    }

    [Fact]
    public async Task A_start_is_a_repeat_also_when_its_run_was_followed_by_another()
    {
        await using var engine = await database.ScriptAsync(w => Task.FromResult(w.Input));
        await engine.RunAsync("followed", "first");
        var second = await StartAsync(engine, "followed", StartPolicy.StartNew, "r-2");
        await engine.ResultAsync<string>("followed");
        var third = await StartAsync(engine, "followed", StartPolicy.StartNew, "r-3");
        await engine.ResultAsync<string>("followed");
        Assert.Equal(second.Run, (await StartAsync(engine, "followed", StartPolicy.StartNew, "r-2")).Run);
        Assert.Equal(third.Run, (await StartAsync(engine, "followed", StartPolicy.Reject, "r-3")).Run);
        Assert.Equal(3, await RunsAsync("followed"));
    }

    [Fact]
    public async Task Of_repeats_that_come_at_once_to_two_silos_one_makes_the_run()
    {
        await using var engine = await database.ScriptAsync(w => Task.FromResult(w.Input));
        await using var other = await database.ScriptAsync(w => Task.FromResult(w.Input));
        await engine.RunAsync("at once");
        var replies = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(i => StartAsync(i % 2 == 0 ? engine : other, "at once", StartPolicy.StartNew, "r")));
        Assert.Single(replies.Select(reply => reply.Run).Distinct());
        Assert.Equal(2, await RunsAsync("at once"));
    }

    [Fact]
    public async Task A_message_that_an_earlier_run_took_changes_nothing_in_a_later_one()
    {
        await using var engine = await database.ScriptAsync(HearOne);
        await engine.StartAsync("carried");
        await engine.PokeAsync("carried", "once", "carrier-77");
        await engine.ResultAsync<string>("carried");
        await engine.PokeAsync("carried", "once", "carrier-77"); // After the end: a repeat, and no error.

        // A start whose message was taken is a repeat, too: the run that it would make would wait for that message for ever.
        Assert.False((await StartAsync(engine, "carried", StartPolicy.StartNew, "r", Poke("once", "carrier-77"))).Started);
        Assert.True((await StartAsync(engine, "carried", StartPolicy.StartNew, "further")).Started);
        await engine.PokeAsync("carried", "once", "carrier-77");
        Assert.True(await database.ScalarAsync<bool>("select accepted from actors.send('default', 'carried', 'carrier-77', 'Poke', '[\"once\"]')"));
        await engine.WakeAsync("carried");
        await engine.RestAsync("carried");
        await engine.PokeAsync("carried", "once", "carrier-77");
        Assert.Equal("", await engine.AskAsync("carried"));
        await engine.PokeAsync("carried", "another", "carrier-78");
        Assert.Equal("another", await engine.ResultAsync<string>("carried"));
        Assert.Equal(0, await database.CountAsync("inbox", "carried"));
    }

    [Fact]
    public async Task An_id_names_a_message_and_a_start_apart_from_each_other()
    {
        await using var engine = await database.ScriptAsync(HearOne);
        var start = await StartAsync(engine, "both", StartPolicy.StartNew, "one id");
        await engine.PokeAsync("both", "heard", "one id");
        Assert.Equal("heard", await engine.ResultAsync<string>("both"));
        Assert.Equal(start.Run, (await StartAsync(engine, "both", StartPolicy.StartNew, "one id")).Run);
    }

    [Fact]
    public async Task A_repeated_resume_answers_as_the_first_did_and_resumes_nothing_again()
    {
        await using var engine = await database.ScriptAsync(
            w => w.Input == "x" ? Task.FromResult("") : Task.Delay(Timeout.Infinite).ContinueWith(_ => "", TaskScheduler.Default));
        await engine.StartAsync("resumed");
        await engine.SetAsideAsync("resumed");
        var id = new WorkflowId("resumed");
        Assert.True(await engine.Engine.ResumeAsync(id, new ResumeCall("r-1")));
        await engine.SetAsideAsync("resumed"); // Nothing was mended.
        var position = (await engine.StatusAsync("resumed")).Position;
        Assert.True(await engine.Engine.ResumeAsync(id, new ResumeCall("r-1")));
        Assert.Equal((position, (int)WorkflowStatus.SetAside),
            ((await engine.StatusAsync("resumed")).Position, (await engine.StatusAsync("resumed")).Status));
        Assert.True(await engine.Engine.ResumeAsync(id, new ResumeCall("r-2")));
    }

    [Theory]
    [InlineData("r")]
    [InlineData("an id of its own")]
    public async Task A_start_whose_signal_went_to_a_run_that_it_found_opens_no_other_when_it_is_repeated(string messageId)
    {
        var (id, signal) = ($"found running, {messageId}", Poke("once", messageId));
        await using var engine = await database.ScriptAsync(HearOne);
        var running = await engine.StartAsync(id);
        Assert.False((await StartAsync(engine, id, StartPolicy.StartNew, "r", signal)).Started);
        await engine.Engine.SignalAsync(new WorkflowId(id), signal); // As the silo's calls do for who attached.
        Assert.Equal("once", await engine.ResultAsync<string>(id));
        var repeat = await StartAsync(engine, id, StartPolicy.StartNew, "r", signal);
        Assert.Equal((running.Run, false), (repeat.Run, repeat.Started));
        Assert.Equal(1, await RunsAsync(id));
    }

    [Fact]
    public async Task Each_start_of_a_handle_has_a_signal_of_its_own_and_one_id_repeats_both()
    {
        var route = new AwayRoute();
        var workflow = Handle(route).WithSignal(w => w.Poke("x"));
        await workflow.StartAsync("x", StartPolicy.StartNew, cancellation: TestContext.Current.CancellationToken);
        await workflow.StartAsync("x", StartPolicy.StartNew, cancellation: TestContext.Current.CancellationToken);
        await workflow.StartAsync("x", cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(3, route.Signals.Distinct().Count());
        Assert.Equal(route.Ids, route.Signals);
    }

    [Fact]
    public async Task A_start_that_attaches_with_a_request_id_repeats_its_signal_by_it()
    {
        var route = new AwayRoute();
        var workflow = Handle(route).WithSignal(w => w.Poke("x"));
        await workflow.StartAsync("x", new StartOptions { RequestId = "r" }, cancellation: TestContext.Current.CancellationToken);
        await workflow.StartAsync("x", new StartOptions { RequestId = "r" }, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(["r", "r"], route.Signals);
        await Assert.ThrowsAsync<ArgumentException>(
            () => workflow.StartAsync("x", new StartOptions { RequestId = "\n" }, cancellation: TestContext.Current.CancellationToken));
        Assert.Throws<InvalidOperationException>(() => workflow.WithSignal(w => w.Poke("y")));
    }

    [Fact]
    public async Task A_start_that_attaches_stores_nothing_more()
    {
        await using var engine = await database.ScriptAsync(w => Task.FromResult(w.Input));
        await StartAsync(engine, "plain", StartPolicy.Attach, "not needed");
        await engine.ResultAsync<string>("plain");
        Assert.Equal(0, await database.CountAsync("message_ids", "plain"));
    }

    [Fact]
    public async Task A_call_keeps_its_id_over_its_own_retries_and_shows_it_when_it_gives_up()
    {
        var route = new AwayRoute();
        var workflow = Handle(route);
        route.FailuresLeft = 2;
        await workflow.SignalAsync(w => w.Poke("x"));
        Assert.Equal(3, route.Ids.Count);
        Assert.Single(route.Ids.Distinct());

        foreach (var call in (Func<string?, Task>[])[
            id => workflow.SignalAsync(w => w.Poke("x"), id, TestContext.Current.CancellationToken),
            id => workflow.SendAsync("topic", "x", id, TestContext.Current.CancellationToken),
            id => workflow.StartAsync(
                "x", new StartOptions { Policy = StartPolicy.StartNew, RequestId = id }, TestContext.Current.CancellationToken),
            id => workflow.WithSignal(w => w.Poke("x"), id).StartAsync("x", cancellation: TestContext.Current.CancellationToken)])
        {
            (route.FailuresLeft, route.Ids) = (int.MaxValue, []);
            var shown = (await Assert.ThrowsAsync<WorkflowUnavailableException>(() => call(null))).RequestId;
            Assert.Equal(shown, Assert.Single(route.Ids.Distinct()));
            route.FailuresLeft = 0;
            await call(shown);
            Assert.Equal(shown, route.Ids[^1]);
        }
    }

    private static IWorkflowHandle<IScripted> Handle(IWorkflowRoute route) => new WorkflowHandle<IScripted>(
        new WorkflowId("w"), route, new GrainRoute(null!), new PayloadSerializer(), TimeSpan.FromMilliseconds(300));

    private static SignalCall Poke(string text, string messageId) =>
        new("Poke", false, new PayloadSerializer().Write(new[] { text }, $"test"), messageId);

    private static Task<StartReply> StartAsync(
        TestEngine engine, string id, StartPolicy policy, string requestId, SignalCall? signal = null) =>
        engine.Engine.StartAsync(
            new WorkflowId(id), new StartCall(Scripted.Name, new PayloadSerializer().Write("", $"test"), policy, signal, requestId));

    private Task<int> RunsAsync(string id) => database.ScalarAsync<int>($"select count(*) from actors.runs where id = '{id}'");

    /// <summary>Fails a number of times as a cluster does whose database is away, and notes by which id each try can be repeated.</summary>
    private sealed class AwayRoute : IWorkflowRoute
    {
        public int FailuresLeft { get; set; }

        public List<string?> Ids { get; set; } = [];

        public List<string?> Signals { get; } = [];

        public Task<CallReply> CallAsync(WorkflowId id, WorkflowCall call)
        {
            switch (call)
            {
                case StartCall start:
                    Signals.Add(start.Signal?.MessageId);
                    return Task.FromResult<CallReply>(
                        new StartReply(Try(start.RequestId ?? start.Signal?.MessageId), Guid.NewGuid(), true));
                case SignalCall signal:
                    return Task.FromResult(new CallReply(Try(signal.MessageId)));
                default:
                    throw new NotSupportedException();
            }
        }

        private WireError? Try(string? id)
        {
            Ids.Add(id);
            return FailuresLeft-- > 0 ? new WireError(nameof(WorkflowUnavailableException), "away") : null;
        }
    }
}
