using Actors.Orders.MainJob;
using Xunit;

namespace Actors.Orders.Tests;

public sealed class CrashPlanTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(1_000)]
    public async Task Every_crash_happens_and_none_waits_for_an_order_that_waits_for_it(int orders)
    {
        var plan = new CrashPlan(5, ended: 3, total: 3 + orders, silos: 3, seed: 11);
        var progress = new JobProgress(3 + orders, TextWriter.Null, terminal: false);
        for (var earlier = 0; earlier < 3; earlier++)
        {
            progress.Ended(completed: true);
        }

        var killed = new List<IReadOnlyList<int>>();
        var crashes = plan.RunAsync(
            silos =>
            {
                killed.Add(silos);
                return Task.CompletedTask;
            },
            progress,
            Cancellation);
        for (var number = 0; number < orders; number++)
        {
            await plan.MayStartAsync(number, Cancellation);
            progress.Ended(completed: true);
        }

        await crashes;
        Assert.Equal(5, plan.Kills);
        Assert.All(killed[..4], silos => Assert.Single(silos));
        Assert.Equal([0, 1, 2], killed[4]);
    }

    [Fact]
    public async Task Nothing_is_killed_where_nothing_is_left_to_do()
    {
        var plan = new CrashPlan(5, ended: 10, total: 10, silos: 1, seed: 1);

        await plan.RunAsync(_ =>
            throw new InvalidOperationException(), new JobProgress(10, TextWriter.Null, terminal: false), Cancellation);

        Assert.Equal(0, plan.Kills);
    }
}
