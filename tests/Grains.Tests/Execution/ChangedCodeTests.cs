using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Code that asks for something else than the history holds is set aside, loses nothing, and goes on when it is mended.</summary>
public sealed class ChangedCodeTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static int _charges;

    private static async Task<string> Original(Scripted w)
    {
        await w.Step("reserve", () => 0);
        await w.Step("charge", () => Interlocked.Increment(ref _charges));
        w.Publish("topic", "k", "charged");
        await w.WaitUntil(() => w.Heard.Count > 0);
        return $"done {string.Join(",", w.Heard)}";
    }

    private static readonly Dictionary<string, Func<Scripted, Task<string>>> Changes = new()
    {
        ["other name"] = async w => { await w.Step("reserve", () => 0); await w.Step("bill", () => 0); return ""; },
        ["other kind"] = async w =>
            { await w.Step("reserve", () => 0); await w.Transaction("charge", _ => Task.CompletedTask); return ""; },
        ["sleep for step"] = async w => { await w.Sleep(TimeSpan.FromHours(1)); return ""; },
        ["more commands"] = async w => { await w.Step("check", () => 0); return await Original(w); },
        ["fewer commands"] = async w => { await w.Step("reserve", () => 0); await w.WaitUntil(() => w.Heard.Count > 0); return ""; },
        ["ends early"] = _ => Task.FromResult("nothing to do"),
        ["throws"] = _ => throw new FormatException("changed"),
        ["catches everything"] = async w =>
        {
            try
            {
                await w.Step("other", () => 0);
            }
            catch (Exception)
            {
                await w.Step("more", () => 0);
            }

            return "went on";
        },
    };

    public static TheoryData<string, string> Cases => new()
    {
        { "other name", "asks for step 'bill' (seq 2, ChangedCodeTests.cs:" },
        { "other kind", "asks for transaction 'charge' (seq 2, ChangedCodeTests.cs:" },
        { "sleep for step", "asks for sleep 'sleep' (seq 1, ChangedCodeTests.cs:" },
        { "more commands", "asks for step 'check' (seq 1, ChangedCodeTests.cs:" },
        { "fewer commands", "but its history holds StepCompleted 'charge' there" },
        { "ends early", "holds StepCompleted 'reserve' (seq 1), which the code has not asked for" },
        { "throws", "holds StepCompleted 'reserve' (seq 1), which the code has not asked for" },
        { "catches everything", "asks for step 'other' (seq 1, ChangedCodeTests.cs:" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Changed_code_is_set_aside_with_its_reason_and_mended_code_goes_on(string change, string reason)
    {
        var id = change.Replace(' ', '-');
        await using var original = await database.ScriptAsync(Original);
        await using var changed = await database.ScriptAsync(Changes[change]);
        await using var mended = await database.ScriptAsync(Original);
        await original.StartAsync(id);
        await original.RestAsync(id);
        var (history, charges) = (await database.JournalAsync(id), _charges);

        await changed.WakeAsync(id);
        var problem = await changed.SetAsideAsync(id);
        Assert.Contains(reason, problem, StringComparison.Ordinal);
        Assert.Contains("the code changed under a running workflow", problem, StringComparison.Ordinal);
        Assert.Equal(history, (await database.JournalAsync(id))[..^1]);
        await Assert.ThrowsAsync<WorkflowCodeException>(() => changed.AskAsync(id));

        await mended.PokeAsync(id, "kept");
        Assert.True(await mended.Engine.ResumeAsync(new WorkflowId(id), new ResumeCall($"{Guid.NewGuid()}")));
        Assert.Equal("done kept", await mended.ResultAsync<string>(id));
        Assert.False(await mended.Engine.ResumeAsync(new WorkflowId(id), new ResumeCall($"{Guid.NewGuid()}")));
        Assert.Equal(charges, _charges);
        Assert.Equal(1, await database.CountAsync("outbox", id));
    }

    [Fact]
    public async Task Resuming_an_id_without_a_workflow_is_an_error()
    {
        await using var engine = await database.ScriptAsync(Original);
        await Assert.ThrowsAsync<WorkflowNotFoundException>(
            () => engine.Engine.ResumeAsync(new WorkflowId("none"), new ResumeCall($"{Guid.NewGuid()}")));
    }

    [Fact]
    public async Task Resumed_without_a_mend_it_is_set_aside_again()
    {
        await using var original = await database.ScriptAsync(Original);
        await using var changed = await database.ScriptAsync(Changes["ends early"]);
        await original.StartAsync("again");
        await original.RestAsync("again");
        await changed.WakeAsync("again");
        var first = await changed.SetAsideAsync("again");
        Assert.True(await changed.Engine.ResumeAsync(new WorkflowId("again"), new ResumeCall($"{Guid.NewGuid()}")));
        Assert.Equal(first, await changed.SetAsideAsync("again"));
        Assert.True(await original.Engine.ResumeAsync(new WorkflowId("again"), new ResumeCall($"{Guid.NewGuid()}")));
        await original.PokeAsync("again", "at last");
        Assert.Equal("done at last", await original.ResultAsync<string>("again"));
    }
}
