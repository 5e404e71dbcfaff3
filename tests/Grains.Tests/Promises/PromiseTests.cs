using Actors.Grains.Tests.Execution;
using Actors.Outbox;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Promises;

/// <summary>One short test for each promise of docs/GUARANTEES.md, by its name. What tries to break them is in the other tests and on real
/// processes.</summary>
[EachPostgres]
public sealed class PromiseTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    public async ValueTask InitializeAsync() => await ExecuteAsync("create table if not exists paid (id text, amount int)");

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Promise_1_Atomic()
    {
        var atCommit = new Gate();
        await using var first = await database.ScriptAsync(PayAsync);
        first.Probe.Before = name => name == "commit transaction" ? atCommit.PassAsync() : Task.CompletedTask;
        await first.StartAsync("atomic");
        await atCommit.Reached;
        await first.DieAsync(); // Everything is written and nothing is committed.
        Assert.Equal("1 journal rows, 0 messages, 0 payments", await StandingAsync("atomic"));
        await using var second = await database.ScriptAsync(PayAsync);
        Assert.Equal("paid", await second.RunAsync("atomic"));
        Assert.Equal("3 journal rows, 1 messages, 1 payments", await StandingAsync("atomic"));
        atCommit.Open();
    }

    [Fact]
    public async Task Promise_2_Exactly_once_in_the_database()
    {
        var (afterCommit, keys) = (new Gate(), new List<string>());
        async Task<string> Code(Scripted workflow)
        {
            await workflow.Step("external", step =>
            {
                keys.Add(step.IdempotencyKey);
                return step.Attempt < 3 ? throw new IOException("try again") : Task.CompletedTask;
            }, Retry.Exponential(3, TimeSpan.Zero));
            return await PayAsync(workflow);
        }

        await using var first = await database.ScriptAsync(Code);
        first.Probe.After = name => name == "commit transaction" ? afterCommit.PassAsync() : Task.CompletedTask;
        await first.StartAsync("once");
        await afterCommit.Reached;
        await first.DieAsync(); // Committed, and this process does not know it.
        await using var second = await database.ScriptAsync(Code);
        Assert.Equal("paid", await second.RunAsync("once"));
        Assert.Equal(1, await ScalarAsync<long>("select count(*) from paid where id = 'once'"));
        Assert.Equal(3, keys.Count);
        Assert.Single(keys.Distinct());
        afterCommit.Open();
    }

    [Fact]
    public async Task Promise_3_One_owner()
    {
        var inBody = new Gate();
        async Task<string> Code(Scripted workflow) => await workflow.Step("wait", async _ =>
        {
            await inBody.PassAsync();
            return "done";
        });
        await using var stale = await database.ScriptAsync(Code);
        await stale.StartAsync("owner");
        await inBody.Reached;
        await stale.DieAsync();
        await using var owner = await database.ScriptAsync(async workflow => await workflow.Step("wait", () => "done by the owner"));
        Assert.Equal("done by the owner", await owner.RunAsync("owner"));
        inBody.Open(); // The stale one's result comes now.
        await stale.LeftAsync("owner");
        Assert.Equal("\"done by the owner\"",
            await ScalarAsync<string>(
            "select j.payload::text from actors.journal j join actors.runs w using (instance) where w.id = 'owner' and j.kind = 1"));
    }

    [Fact]
    public async Task Promise_4_Nothing_acknowledged_is_lost()
    {
        async Task<string> Code(Scripted workflow)
        {
            await workflow.WaitUntil(() => workflow.Heard.Count == 2);
            return string.Join(",", workflow.Heard);
        }

        await using var first = await database.ScriptAsync(Code);
        await first.StartAsync("signals");
        await first.PokeAsync("signals", "a", "message-1");
        await first.DieAsync();
        await using var second = await database.ScriptAsync(Code);
        await second.PokeAsync("signals", "a again", "message-1"); // A repeat changes nothing.
        await second.PokeAsync("signals", "b", "message-2");
        Assert.Equal("a,b", await second.ResultAsync<string>("signals"));
    }

    [Fact]
    public async Task Promise_5_Same_code_same_history()
    {
        async Task<string> Code(Scripted workflow)
        {
            var fast = workflow.Step("fast", () => "fast");
            var slow = workflow.Sleep(TimeSpan.FromHours(1));
            var won = await Task.WhenAny(fast, slow) == fast ? "step" : "sleep";
            await workflow.WaitUntil(() => workflow.Heard.Count == 1);
            return won;
        }

        await using var first = await database.ScriptAsync(Code);
        await first.StartAsync("race");
        await first.RestAsync("race");
        await using var second = await database.ScriptAsync(Code);
        await second.PokeAsync("race", "go on");
        Assert.Equal("step", await second.ResultAsync<string>("race"));

        await using var old = await database.ScriptAsync(async workflow =>
        {
            await workflow.Step("first", () => "x");
            await workflow.WaitUntil(() => workflow.Heard.Count == 1);
            return "";
        });
        await old.StartAsync("changed");
        await old.RestAsync("changed");
        await using var changed = await database.ScriptAsync(async workflow => await workflow.Step("another name", () => "x"));
        await changed.WakeAsync("changed");
        var problem = await changed.SetAsideAsync("changed");
        Assert.Contains("'another name' (seq 1", problem, StringComparison.Ordinal);
        Assert.Contains("StepCompleted 'first'", problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Promise_6_Outbox()
    {
        await using var engine = await database.ScriptAsync(async workflow =>
        {
            for (var i = 1; i <= 3; i++)
            {
                workflow.Publish("topic", "shared", $"{workflow.Input} {i}");
                await workflow.Transaction("refused", tx =>
                {
                    tx.Publish("topic", "shared", "never");
                    throw new FormatException("rolled back");
                }).ContinueHere();
            }

            await workflow.Transaction("last", tx =>
            {
                tx.Publish("topic", "shared", $"{workflow.Input} 4");
                tx.Publish("topic", "", $"{workflow.Input} 5");
                return Task.CompletedTask;
            });
            return "";
        });
        await engine.RunAsync("outbox-a", "a");
        await engine.RunAsync("outbox-b", "b"); // Another workflow, the same key.
        var firsts = new List<string>();
        var sink = new RecordingSink((message, _) =>
        {
            if (message.Attempt < 3)
            {
                throw new IOException("fails for a while");
            }

            lock (firsts)
            {
                var text = $"{message.Key} {message.Id.Split(':')[1]} {RecordingSink.Text(message).Trim('"')}";
                // The other tests' are delivered too.
                if (message.Workflow.Id.StartsWith("outbox-", StringComparison.Ordinal) && !firsts.Contains(text))
                {
                    firsts.Add(text);
                }
            }

            return Task.CompletedTask;
        });
        await using (database.Relay(sink))
        await using (database.Relay(sink))
        {
            for (var count = 0; Ids(sink.Delivered) < 10; count++)
            {
                await sink.UntilDeliveredAsync(count + 1);
            }
        }

        Assert.Equal(
            ["shared 1 a 1", "shared 2 a 2", "shared 3 a 3", "shared 4 a 4", "shared 1 b 1", "shared 2 b 2", "shared 3 b 3",
                "shared 4 b 4"],
            firsts.Where(text => text[0] == 's'));
        Assert.Equal([" 5 a 5", " 5 b 5"], firsts.Where(text => text[0] == ' ').Order());
        Assert.Equal(10, Ids(sink.Attempts));

        static int Ids(IEnumerable<OutboxMessage> messages) =>
            messages.Where(message => message.Workflow.Id.StartsWith("outbox-", StringComparison.Ordinal)).Select(
                message => message.Id).Distinct().Count();
    }

    [Fact]
    public async Task Promise_7_Time_is_the_database_s()
    {
        await using var own = await TestDatabase.CreateAsync();
        var clock = await TestClock.CreateAsync(own);
        await using var engine = await own.ScriptAsync(async workflow =>
        {
            var due = workflow.Now + TimeSpan.FromDays(365);
            await workflow.SleepUntil(due);
            return workflow.Now >= due ? "not early" : "early";
        });
        await engine.StartAsync("year");
        await engine.RestAsync("year");
        await clock.MoveAsync(TimeSpan.FromDays(366));
        await engine.HearClockAsync();
        await engine.WakeAsync("year");
        Assert.Equal("not early", await engine.ResultAsync<string>("year"));
    }

    [Fact]
    public async Task Promise_8_Results_are_final()
    {
        await using var engine = await database.ScriptAsync(workflow => Task.FromResult(workflow.Input));
        Assert.Equal("first", await engine.RunAsync("final", "first"));
        Assert.False((await engine.StartAsync("final", "second")).Started);
        Assert.Equal("first", await engine.ResultAsync<string>("final"));
        Assert.True((await engine.StartAsync("final", "third", StartPolicy.StartNew)).Started);
        Assert.Equal("third", await engine.ResultAsync<string>("final"));
        Assert.Equal("\"first\",\"third\"", await ScalarAsync<string>(
            "select string_agg(j.payload::text, ',' order by w.instance) from actors.journal j join actors.runs w using (instance) "
                + "where w.id = 'final' and j.kind = 11"));
    }

    [Fact]
    public async Task Promise_9_Bad_input_is_a_clear_error()
    {
        await using var engine = await database.ScriptAsync(_ => Task.FromResult("done"));
        await Assert.ThrowsAsync<UnknownWorkflowTypeException>(() => engine.StartWorkflowAsync("bad", "NoSuchType", ""));
        Assert.Throws<InvalidWorkflowIdException>(() => new WorkflowId("line\nfeed"));
        await Assert.ThrowsAsync<WorkflowNotFoundException>(() => engine.PokeAsync("bad", "a"));
        var error = await Assert.ThrowsAsync<PayloadException>(
            () => engine.StartWorkflowAsync("bad", Scripted.Name, new { secret = "top secret" }));
        Assert.Contains("'bad'", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("top secret", error.ToString(), StringComparison.Ordinal);
        Assert.Equal(0, await ScalarAsync<long>("select count(*) from actors.runs where id = 'bad'"));
    }

    private static async Task<string> PayAsync(Scripted workflow)
    {
        await workflow.Transaction("pay", async tx =>
        {
            await using var command = new NpgsqlCommand(
                "insert into paid values ($1, 1)", tx.Connection) { Parameters = { new() { Value = workflow.Id.Id } } };
            await command.ExecuteNonQueryAsync();
            tx.Publish("topic", "k", "paid");
        });
        return "paid";
    }

    private Task<string> StandingAsync(string id) => ScalarAsync<string>(
        $"""
        select (select count(*) from actors.journal j where j.instance = w.instance) || ' journal rows, ' || (select count(*) from actors.outbox o where o.instance = w.instance)
            || ' messages, ' || (select count(*) from paid where id = '{id}') || ' payments' from actors.runs w where w.id = '{id}'
        """);

    private async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}

file static class Shortcuts
{
    /// <summary>Delivers all that waits for the destination of a script's topic.</summary>
    public static RunningRelay Relay(this TestDatabase database, IOutboxSink sink) => new(new OutboxRelay(
        new OutboxTable(database.DataSource), OutboxScene.Route(sink, "here").Made(), new Actors.Calling.PayloadSerializer(), OutboxScene.Quick(),
        () => Partition.All, TimeProvider.System, NullLogger<OutboxRelay>.Instance));

    /// <summary>Awaits on the caller's own scheduler, and passes over the step's failure.</summary>
    public static async Task ContinueHere(this Task step)
    {
        try
        {
            await step;
        }
        catch (StepFailedException)
        {
            // As the test wants it.
        }
    }
}
