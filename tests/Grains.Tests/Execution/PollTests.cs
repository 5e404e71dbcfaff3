using Actors.Grains.Tests.Execution;
using Actors.Support;
using Xunit;

namespace Actors.Grains.Tests;

public sealed class PollTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_body_runs_again_and_again_until_the_letter_comes(bool moves)
    {
        var (ran, id) = (0, $"polled {moves}");
        Script Asks() => new(w => w.Poll<string>("ask", "answer", TimeSpan.FromMilliseconds(200), _ =>
        {
            Interlocked.Increment(ref ran);
            return Task.CompletedTask;
        }));
        await using var first = await database.ScriptAsync(Asks());
        await first.StartAsync(id);
        await UntilAsync(() => ran >= 2);
        var engine = first;
        if (moves)
        {
            await first.Engine.ReleaseAsync(new WorkflowId(id));
            engine = await database.ScriptAsync(Asks());
            await engine.WakeAsync(id);
        }

        await UntilAsync(() => ran >= 4);
        Assert.Equal(1, await database.ScalarAsync<int>("select count(*) from actors.timers"));
        await engine.SendAsync(id, "answer", "yes");
        Assert.Equal("yes", await engine.ResultAsync<string>(id));
        Assert.Equal(0, await database.ScalarAsync<int>("select count(*) from actors.timers"));
        var polled = await database.ScalarAsync<int>(
            $"select count(*) from actors.journal where kind = 17 and instance = (select instance from actors.workflows where id = '{id}')");
        Assert.InRange(polled, 4, ran);
        await engine.DisposeAsync();
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        while (!holds())
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }
}
