using Actors.Support;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Why a run waits: one sentence and its data, in memory and at rest.</summary>
[EachPostgres]
public sealed class WaitsTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Theory]
    [InlineData("condition", WaitingFor.Condition, "waits until w.Heard.Count > 0")]
    [InlineData("named", WaitingFor.Condition, "waits until the payment")]
    [InlineData("either", WaitingFor.Condition, "waits until w.Heard.Count > 0, or ")]
    [InlineData("message", WaitingFor.Message, "waits for a message of topic 'letters'")]
    [InlineData("sleep", WaitingFor.Sleep, "sleeps until ")]
    [InlineData("attempt", WaitingFor.Attempt, "attempt 2 of 'charge' at ", "last error: declined")]
    [InlineData("two", WaitingFor.Sleep, "sleeps until ", "; and 1 more")]
    public async Task A_status_says_why_a_run_waits(string how, WaitingFor what, params string[] words)
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            var never = TimeSpan.FromDays(400);
            await (how switch
            {
                "condition" => w.WaitUntil(() => w.Heard.Count > 0),
                "named" => w.WaitUntil(() => w.Heard.Count > 0, "the payment"),
                "either" => w.WaitUntil(() => w.Heard.Count > 0, never),
                "message" => w.Receive<string>("letters"),
                "sleep" => w.Sleep(never),
                "attempt" => w.Step(
                    "charge", _ => Task.FromException<int>(new InvalidOperationException("declined")), Retry.Exponential(5, never, cap: never)),
                _ => Task.WhenAny(w.Receive<string>("letters"), w.Sleep(never)),
            });
            return "";
        });
        await engine.StartAsync(how);
        await engine.AskAsync(how);
        while ((await engine.StatusAsync(how)).Waits is not { For: not WaitingFor.Body })
        {
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        var live = (await engine.StatusAsync(how)).Waits!;
        await engine.RestAsync(how);
        var rested = (await engine.StatusAsync(how)).Waits!;
        Assert.Equal(live, rested);
        Assert.Equal(what, rested.For);
        Assert.All(words, part => Assert.Contains(part, rested.Sentence, StringComparison.Ordinal));
        Assert.Equal(how is "either" or "sleep" or "attempt" or "two", rested.Until is not null);
        Assert.Equal(how, await database.ScalarAsync<string>($"select id from actors.waits_view where id = '{how}'"));
    }

    [Fact]
    public async Task A_run_that_goes_on_takes_its_word_with_it()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0, "the first");
            await w.WaitUntil(() => w.Heard.Count > 1, "the second");
            return "";
        });
        await engine.StartAsync("goes on");
        await engine.RestAsync("goes on");
        await engine.PokeAsync("goes on", "1");
        await engine.RestAsync("goes on");
        Assert.Equal("the second", (await engine.StatusAsync("goes on")).Waits!.Name);
        await engine.PokeAsync("goes on", "2");
        await engine.ResultAsync<string>("goes on");
        Assert.Null((await engine.StatusAsync("goes on")).Waits);
        Assert.Equal(0, await database.CountAsync("waits", "goes on"));
    }

    [Fact]
    public async Task A_run_that_is_set_aside_waits_for_people()
    {
        await using var engine = await database.ScriptAsync(w => { _ = w.Step("forgotten", () => 0); return Task.FromResult(""); });
        await engine.StartAsync("aside");
        await engine.SetAsideAsync("aside");
        var waits = (await engine.StatusAsync("aside")).Waits!;
        Assert.Equal(WaitingFor.People, waits.For);
        Assert.Contains("was set aside: ", waits.Sentence, StringComparison.Ordinal);
        Assert.Contains("forgotten", waits.Sentence, StringComparison.Ordinal);
    }
}
