using Actors.Support;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Messages whose type does not fit are the sender's mistake: they are kept, and stop nobody.</summary>
public sealed class UnreadableTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_message_that_code_cannot_read_is_kept_and_the_code_goes_on_waiting(bool sentBefore)
    {
        var (id, gate) = ($"unread-{sentBefore}", new Gate());
        await using var engine = await database.ScriptAsync(Receives<int>(gate));
        await engine.StartAsync(id);
        if (sentBefore)
        {
            await engine.SendAsync(id, "letters", "text", "unfit");
        }

        gate.Open();
        if (!sentBefore)
        {
            await engine.RestAsync(id);
            await engine.SendAsync(id, "letters", "text", "unfit");
        }

        await engine.SendAsync(id, "letters", "text", "unfit"); // A repeat, wherever it stands by now.
        await UntilUndeliveredAsync(engine, id, "unfit");
        Assert.Equal((int)WorkflowStatus.Running, (await engine.StatusAsync(id)).Status);
        await engine.SendAsync(id, "letters", 7);
        Assert.Equal("7", await engine.ResultAsync<string>(id));
        Assert.Equal(1, await database.CountAsync("inbox", id));
    }

    [Fact]
    public async Task Replay_skips_a_message_that_was_refused_whatever_code_replays_it()
    {
        var gate = new Gate();
        gate.Open();
        await using var first = await database.ScriptAsync(Receives<int>(gate));
        await first.StartAsync("refused");
        await first.SendAsync("refused", "letters", "text", "unfit");
        await UntilUndeliveredAsync(first, "refused", "unfit");
        await first.DieAsync();
        await using var second = await database.ScriptAsync(Receives<System.Text.Json.JsonElement>(gate)); // Could read anything.
        await second.SendAsync("refused", "letters", 8);
        Assert.Equal("8", await second.ResultAsync<string>("refused"));
        Assert.Equal(1, await database.ScalarAsync<int>(
            "select count(*) from actors.journal j join actors.runs w using (instance) where j.kind = 15 and w.id = 'refused'"));
    }

    [Fact]
    public async Task A_refusal_that_was_lost_with_its_silo_is_made_again()
    {
        var gate = new Gate();
        gate.Open();
        await using var first = await database.ScriptAsync(Receives<int>(gate));
        await first.StartAsync("lost refusal");
        await first.RestAsync("lost refusal");
        var commits = 0;
        var held = new Gate();
        first.Probe.Before = name => name == "commit" && Interlocked.Increment(ref commits) == 2 ? held.PassAsync() : Task.CompletedTask;
        await first.SendAsync("lost refusal", "letters", "text", "unfit");
        await held.Reached; // The message is committed, its refusal is not.
        await first.DieAsync();
        await using var second = await database.ScriptAsync(Receives<int>(gate));
        await second.SendAsync("lost refusal", "letters", 9);
        Assert.Equal("9", await second.ResultAsync<string>("lost refusal"));
        await UntilUndeliveredAsync(second, "lost refusal", "unfit");
        held.Open();
    }

    [Fact]
    public async Task Code_that_cannot_read_what_was_read_once_is_set_aside()
    {
        var gate = new Gate();
        gate.Open();
        Script Reads<T>() => new(async w =>
        {
            var letter = await w.Receive<T>("letters");
            await w.Step("after it", () => 1);
            await w.WaitUntil(() => w.Heard.Count > 0);
            return $"{letter}";
        });
        await using var first = await database.ScriptAsync(Reads<string>());
        await first.StartAsync("read once");
        await first.SendAsync("read once", "letters", "text");
        await first.RestAsync("read once");
        await first.DieAsync();
        await using var second = await database.ScriptAsync(Reads<int>());
        await second.WakeAsync("read once");
        Assert.Contains("It could when the history was made", await second.SetAsideAsync("read once"), StringComparison.Ordinal);
    }

    /// <summary>Keys of a dictionary are the sender's words, as values are.</summary>
    [Theory]
    [InlineData("long key", "repeat('é', 300000)")]
    [InlineData("nul key", "'\\u0000'")]
    public async Task What_a_refusal_says_is_short_and_holds_nothing_of_the_message(string id, string key)
    {
        await using var engine = await database.ScriptAsync(async w => $"{(await w.Receive<Dictionary<string, int>>("letters")).Count}");
        await engine.StartAsync(id);
        await database.ExecuteAsync($"select actors.send('default', '{id}', 'unfit', 'letters', ('{{\"' || {key} || '\":\"x\"}}')::json)");
        await engine.WakeAsync(id);
        await UntilUndeliveredAsync(engine, id, "unfit", "Dictionary");
        Assert.InRange((await engine.StatusAsync(id)).Undelivered[0].Reason.Length, 1, 501);
        await engine.SendAsync(id, "letters", new Dictionary<string, int> { ["a"] = 1 });
        Assert.Equal("1", await engine.ResultAsync<string>(id));
    }

    private static Script Receives<T>(Gate gate) => new(async w =>
    {
        await w.Step("hold", _ => gate.PassAsync());
        return $"{await w.Receive<T>("letters")}";
    });

    private static async Task UntilUndeliveredAsync(TestEngine engine, string id, string messageId, string type = "Int32")
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        Actors.UndeliveredMessage[] undelivered;
        while ((undelivered = (await engine.StatusAsync(id)).Undelivered).Length == 0)
        {
            Assert.False(limit.IsCancellationRequested, $"No message to '{id}' was refused.");
            await Task.Yield();
        }

        Assert.Equal(messageId, Assert.Single(undelivered).MessageId);
        Assert.Contains($"cannot be read as {type}", undelivered[0].Reason, StringComparison.Ordinal);
    }
}
