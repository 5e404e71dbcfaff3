using System.Diagnostics;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Execution;

public sealed class TenSteps : Workflow<int, int>
{
    protected override async Task<int> RunAsync(int input)
    {
        for (var i = 0; i < 10; i++)
        {
            input = await Step("add", _ => Task.FromResult(input + 1));
        }

        return input;
    }
}

public sealed class Various : Workflow<string, string>
{
    protected override async Task<string> RunAsync(string input)
    {
        var a = await Transaction("insert", async tx =>
        {
            await using var command = new NpgsqlCommand("create table if not exists t (x int); insert into t values (1)", tx.Connection);
            await command.ExecuteNonQueryAsync(tx.Cancellation);
            tx.Publish("topic", "k", "hello");
            return 5;
        });
        await Sleep(TimeSpan.FromMilliseconds(100));
        Publish("topic", "k", a);
        var got = await Receive<string>("mail");
        var both = await Task.WhenAll(Step("x", _ => Task.FromResult(1)), Step("y", _ => Task.FromResult(2)));
        var timedOut = await WaitUntil(() => false, TimeSpan.FromMilliseconds(50));
        return $"{input}{a}{got}{both[0]}{both[1]}{timedOut}";
    }
}

public sealed class FirstTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task Ten_steps_run()
    {
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, b => b.AddWorkflow<TenSteps>());
        Assert.Equal(11, await engine.RunAsync<int, int>("a", "TenSteps", 1));
        for (var round = 0; round < 3; round++)
        {
            var watch = Stopwatch.StartNew();
            await Task.WhenAll(Enumerable.Range(0, 2000).Select(async i => Assert.Equal(i + 10, await engine.RunAsync<int, int>($"b{round}-{i}", "TenSteps", i))));
            TestContext.Current.SendDiagnosticMessage($"20,000 steps in {watch.ElapsedMilliseconds} ms, {engine.Probe.RoundTrips} round trips");
        }
    }

    [Fact]
    public async Task Various_commands_run()
    {
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, b =>
        {
            b.AddWorkflow<Various>();
            b.Outbox.Add("here", new HandlerSink((_, _) => Task.CompletedTask), "topic");
        });
        await engine.StartWorkflowAsync("v", "Various", "in");
        await engine.SendAsync("v", "mail", "letter");
        Assert.Equal("in5letter12False", await engine.ResultAsync<string>("v"));
        var status = await engine.StatusAsync("v");
        Assert.Equal((int)WorkflowStatus.Completed, status.Status);
    }
}
