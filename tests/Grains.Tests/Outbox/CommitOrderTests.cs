using Actors.Grains.Tests.Execution;
using Actors.Support;
using Xunit;

namespace Actors.Outbox;

/// <summary>What the order across workflows hangs on: a message's id is drawn in the round trip of its COMMIT, by both ways to
/// commit.</summary>
[EachPostgres]
public sealed class CommitOrderTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Theory]
    [InlineData("commit")]
    [InlineData("commit transaction")]
    public async Task A_message_stands_behind_all_that_committed_before_its_own_commit_was_sent(string statement)
    {
        Func<Scripted, Task<string>> Code(int value) => async w =>
        {
            if (statement == "commit")
            {
                await w.Step("publish", step => { step.Publish("topic", statement, value); return Task.CompletedTask; });
            }
            else
            {
                await w.Transaction("publish", tx => { tx.Publish("topic", statement, value); return Task.CompletedTask; });
            }

            return "";
        };
        var (gate, commits) = (new Gate(), 0);
        await using var slow = await database.ScriptAsync(Code(2));
        await using var quick = await database.ScriptAsync(Code(1));
        var held = statement == "commit" ? 2 : 1; // The first commit of all is the start.
        slow.Probe.Before = name => name == statement && Interlocked.Increment(ref commits) == held ? gate.PassAsync() : Task.CompletedTask;
        await slow.StartAsync($"slow {statement}");
        await gate.Reached;
        await quick.RunAsync($"quick {statement}");
        gate.Open();
        await slow.ResultAsync<string>($"slow {statement}");
        Assert.Equal("1,2", await database.ScalarAsync<string>(
            $"select string_agg(payload::text, ',' order by lane, id) from actors.outbox where key = '{statement}'"));
    }
}
