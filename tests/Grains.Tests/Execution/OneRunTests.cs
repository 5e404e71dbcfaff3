using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Calls that mean one run: another one that the workflow has by now does not answer for it.</summary>
public sealed class OneRunTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task A_call_about_a_run_is_answered_by_that_run_alone()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0);
            return w.Heard[0];
        });
        var id = new WorkflowId("one run");
        await engine.StartAsync("one run");
        var meant = (await engine.StatusAsync("one run")).Run;
        await engine.Engine.SignalAsync(id, Poke("heard", meant));
        Assert.Equal("heard", await engine.ResultAsync<string>("one run"));
        await engine.StartWorkflowAsync("one run", Scripted.Name, "", StartPolicy.StartNew);

        foreach (var rests in new[] { false, true })
        {
            await Assert.ThrowsAsync<WorkflowNotFoundException>(() => engine.Engine.SignalAsync(id, Poke("too late", meant)));
            await Assert.ThrowsAsync<WorkflowNotFoundException>(
                () => engine.Engine.QueryAsync(id, new QueryCall("Look", new Payload("[]"u8.ToArray())) { Run = meant }));
            await Assert.ThrowsAsync<WorkflowNotFoundException>(
                () => engine.Engine.ResultAsync(id, new ResultCall { Run = meant, Limit = TimeSpan.FromSeconds(5) }));
            await Assert.ThrowsAsync<WorkflowNotFoundException>(
                () => engine.Engine.ResumeAsync(id, new ResumeCall($"{rests}") { Run = meant }));
            Assert.False((await engine.Engine.StatusAsync(id, new StatusCall { Run = meant })).Found);
            if (!rests)
            {
                await engine.RestAsync("one run");
            }
        }

        var now = (await engine.StatusAsync("one run")).Run;
        await engine.Engine.SignalAsync(id, Poke("for this one", now));
        Assert.Equal("for this one", await engine.ResultAsync<string>("one run"));
    }

    private static SignalCall Poke(string text, Guid run) =>
        new("Poke", false, new Payload(System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(new[] { text })), text) { Run = run };
}
