using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Queries read the object between two turns, wherever the run is, and write nothing.</summary>
public sealed class QueryTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static async Task<string> TwoSteps(Scripted w)
    {
        w.Heard.Add(await w.Step("one", () => "one"));
        await w.WaitUntil(() => w.Heard.Contains("go"));
        w.Heard.Add(await w.Step("two", () => "two"));
        return "ended";
    }

    [Fact]
    public async Task In_memory_at_rest_and_after_the_end_a_query_sees_the_state_and_claims_nothing()
    {
        await using var engine = await database.ScriptAsync(TwoSteps);
        await using var other = await database.ScriptAsync(TwoSteps);
        await engine.StartAsync("query");
        while (await engine.AskAsync("query") != "one")
        {
            await Task.Yield();
        }

        await engine.RestAsync("query");
        var before = await engine.StatusAsync("query");
        Assert.Equal("one", await engine.AskAsync("query"));
        Assert.Equal("one", await other.AskAsync("query"));
        Assert.Equal(before, await engine.StatusAsync("query"));
        Assert.Equal(0, engine.Engine.ResidentCount + other.Engine.ResidentCount);
        await engine.PokeAsync("query", "go");
        await engine.ResultAsync<string>("query");
        Assert.Equal("one,go,two", await other.AskAsync("query"));
    }

    [Fact]
    public async Task A_query_replays_without_running_any_body()
    {
        var calls = 0;
        var gate = new Gate();
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("counted", () => Interlocked.Increment(ref calls));
            w.Publish("topic", "k", "m");
            await w.Step("held", async _ => { Interlocked.Increment(ref calls); await gate.PassAsync(); });
            return "";
        });
        await using var other = await database.ScriptAsync(async w =>
        {
            await w.Step("counted", () => Interlocked.Increment(ref calls));
            w.Publish("topic", "k", "m");
            await w.Step("held", () => Interlocked.Increment(ref calls));
            return "";
        });
        await engine.StartAsync("replays");
        await gate.Reached;
        await other.AskAsync("replays");
        Assert.Equal(2, calls);
        gate.Open();
        await engine.ResultAsync<string>("replays");
        Assert.Equal(1, await database.CountAsync("outbox", "replays"));
    }

    [Theory]
    [InlineData("step")]
    [InlineData("publish")]
    [InlineData("guid")]
    [InlineData("random")]
    [InlineData("receive")]
    public async Task A_query_that_gives_a_command_fails_for_its_caller_alone(string what)
    {
        var script = new Script(async w => { await w.WaitUntil(() => w.Heard.Count > 0); return $"{w.NewGuid()}"; })
        {
            OnLook = w =>
            {
                switch (w.Input)
                {
                    case "step":
                        _ = w.Step("in a query", () => 0);
                        break;
                    case "publish":
                        w.Publish("topic", "k", 1);
                        break;
                    case "receive":
                        _ = w.Receive<int>("letters");
                        break;
                    case "random":
                        return $"{w.Random.Next()}";
                    default:
                        return $"{w.NewGuid()}";
                }

                return "";
            },
        };
        await using var engine = await database.ScriptAsync(script);
        await engine.StartAsync(what, what);
        var error = await Assert.ThrowsAsync<QueryFailedException>(() => engine.AskAsync(what));
        Assert.Contains("a query only reads", error.Message, StringComparison.Ordinal);
        await engine.RestAsync(what);
        await Assert.ThrowsAsync<QueryFailedException>(() => engine.AskAsync(what));
        await engine.PokeAsync(what, "end");
        Assert.True(Guid.TryParse(await engine.ResultAsync<string>(what), out _));
        Assert.Equal(0, await database.CountAsync("outbox", what));
    }

    [Fact]
    public async Task A_query_that_throws_or_does_not_exist_harms_only_its_caller()
    {
        await using var engine = await database.ScriptAsync(new Script(TwoSteps) { OnLook = _ => throw new FormatException("no") });
        await engine.StartAsync("throws");
        Assert.Equal(typeof(FormatException).FullName,
            (await Assert.ThrowsAsync<QueryFailedException>(() => engine.AskAsync("throws"))).ErrorType);
        var unknown = await Assert.ThrowsAsync<UnknownMethodException>(() => engine.QueryAsync<string>("throws", "Peek"));
        Assert.Contains("'throws' (Scripted) has no query 'Peek'", unknown.Message, StringComparison.Ordinal);
        var arguments = new QueryCall("Look", engine.Engine.Context.Payloads.Write(1, $"arguments"));
        await Assert.ThrowsAsync<PayloadException>(() => engine.Engine.QueryAsync(new WorkflowId("throws"), arguments));
        await Assert.ThrowsAsync<WorkflowNotFoundException>(() => engine.AskAsync("nobody"));
        await engine.PokeAsync("throws", "go");
        Assert.Equal("ended", await engine.ResultAsync<string>("throws"));
    }

    [Fact]
    public async Task An_error_of_the_library_that_a_query_throws_is_the_query_s()
    {
        await using var engine = await database.ScriptAsync(
            new Script(TwoSteps) { OnLook = _ => throw new WorkflowNotFoundException("another") });
        await engine.StartAsync("asks another");
        var error = await Assert.ThrowsAsync<QueryFailedException>(() => engine.AskAsync("asks another"));
        Assert.Equal(typeof(WorkflowNotFoundException).FullName, error.ErrorType);
    }
}
