using System.Text.Json;
using Actors.Calling;
using Actors.Cluster;
using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>What comes with a start is told before the first line of the code, in one commit with it, whichever way it came.</summary>
public sealed class FirstMessageTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    // What the code has heard in its first line, and after a step that makes it a replay elsewhere.
    private static Script Looks() => new(async w =>
    {
        var first = string.Join(",", w.Heard);
        await w.Step("a", () => 1);
        return first;
    });

    [Fact]
    public async Task A_signal_that_comes_with_a_start_is_heard_by_the_first_line_of_the_code()
    {
        await using var engine = await database.ScriptAsync(w => Task.FromResult(string.Join(",", w.Heard)));
        for (var i = 0; i < 60; i++)
        {
            await StartAsync(engine, $"with {i}", $"m-{i}");
            Assert.Equal("hello", await engine.ResultAsync<string>($"with {i}"));
        }

        Assert.Equal(["0 Signal 0 Poke [\"hello\"]", "1 Started 0 Scripted \"\""], (await database.JournalAsync("with 0")).Take(2));
        var repeat = await StartAsync(engine, "with 0", "m-0");
        Assert.False(repeat.Started);
    }

    [Fact]
    public async Task The_start_and_its_signal_are_one_commit()
    {
        await using var engine = await database.ScriptAsync(Looks());
        await engine.RunAsync("warm");
        var trips = new List<string>();
        engine.Probe.Before = name =>
        {
            lock (trips)
            {
                trips.Add(name);
            }

            return Task.CompletedTask;
        };
        await StartAsync(engine, "one commit", "m");
        await engine.ResultAsync<string>("one commit");
        Assert.Equal(["commit", "commit", "commit"], trips); // Start, step, end.
    }

    [Fact]
    public async Task Many_starts_with_and_without_signals_go_together()
    {
        await using var engine = await database.ScriptAsync(Looks());
        var results = await Task.WhenAll(Enumerable.Range(0, 100).Select(async i =>
        {
            var id = $"mixed {i}";
            await (i % 3 == 0 ? engine.StartAsync(id)
                : StartAsync(engine, id, $"m-{i}", i % 3 == 1 ? StartPolicy.StartNew : StartPolicy.Attach));
            return (i % 3 == 0 ? "" : "hello") == await engine.ResultAsync<string>(id);
        }));
        Assert.All(results, Assert.True);
    }

    [Fact]
    public async Task A_signal_that_its_handler_cannot_take_is_refused_and_nothing_is_written()
    {
        await using var engine = await database.ScriptAsync(Looks());
        var payloads = engine.Engine.Context.Payloads;
        await Assert.ThrowsAsync<PayloadException>(
            () => StartAsync(engine, "refused", new SignalCall("Poke", false, payloads.Write(new[] { 1 }, $"test"), "m")));
        await Assert.ThrowsAsync<UnknownMethodException>(
            () => StartAsync(engine, "refused", new SignalCall("Prod", false, payloads.Write(Array.Empty<int>(), $"test"), "m")));
        Assert.Null((await engine.Engine.OpenAsync(new WorkflowId("refused"))).Row);
    }

    [Fact]
    public async Task What_SQL_sends_in_the_transaction_of_the_start_is_told_first_too()
    {
        await using var engine = await database.ScriptAsync(new Script(async w =>
        {
            var (heard, letter) = (string.Join(",", w.Heard), w.Receive<int>("letters"));
            return letter.IsCompleted ? $"{heard} {await letter}" : "too late";
        }));
        await database.ExecuteAsync("""
            begin;
            savepoint a;
            select actors.start_workflow('default', 'sql', 'Scripted', '""');
            release a;
            select actors.send('default', 'sql', 'm-1', 'Poke', '["one"]');
            savepoint b;
            select actors.send('default', 'sql', 'm-never', 'Poke', '["never"]');
            rollback to b;
            select actors.send('default', 'sql', 'm-2', 'Poke', '["two"]'), actors.send('default', 'sql', 'm-1', 'Poke', '["one"]');
            select actors.send('default', 'sql', 'm-3', 'letters', '3');
            commit;
            """);
        Assert.Equal(0, await database.CountAsync("inbox", "sql"));
        await engine.WakeAsync("sql");
        Assert.Equal("one,two 3", await engine.ResultAsync<string>("sql"));
        Assert.Equal(3, await database.CountAsync("message_ids", "sql"));
        Assert.Equal("Letter,Letter,Letter,Started",
            string.Join(',', (await database.JournalAsync("sql")).Take(4).Select(row => row.Split(' ')[1])));
    }

    [Fact]
    public async Task What_another_transaction_sends_goes_to_the_inbox_as_ever()
    {
        await using var engine = await database.ScriptAsync(new Script(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0);
            return w.Heard[0];
        }));
        await database.ExecuteAsync("select actors.start_workflow('default', 'later', 'Scripted', '\"\"')");
        await database.ExecuteAsync("select actors.send('default', 'later', 'm', 'Poke', '[\"one\"]')");
        Assert.Equal(1, await database.CountAsync("inbox", "later"));
        await engine.WakeAsync("later");
        Assert.Equal("one", await engine.ResultAsync<string>("later"));
    }

    [Fact]
    public async Task A_handle_does_the_same_in_the_callers_transaction()
    {
        await using var engine = await database.ScriptAsync(Looks());
        var workflow = new WorkflowClient(null!, new PayloadSerializer(), TimeSpan.FromSeconds(1)).Get<IScripted>("handle").WithSignal(
            w => w.Poke("hello"), "m");
        await using (var connection = await database.DataSource.OpenConnectionAsync(TestContext.Current.CancellationToken))
        await using (var transaction = await connection.BeginTransactionAsync(TestContext.Current.CancellationToken))
        {
            await workflow.StartAsync("", transaction, TestContext.Current.CancellationToken);
            await transaction.CommitAsync(TestContext.Current.CancellationToken);
        }

        await engine.WakeAsync("handle");
        Assert.Equal("hello", await engine.ResultAsync<string>("handle"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Replay_tells_it_first_again(bool fromSql)
    {
        var (id, gate) = ($"replayed {fromSql}", new Gate());
        Script Held(Gate hold) => new(async w =>
        {
            var first = string.Join(",", w.Heard);
            await w.Step("a", () => 1);
            await w.Step("b", _ => hold.PassAsync());
            return first;
        });
        await using var first = await database.ScriptAsync(Held(gate));
        if (fromSql)
        {
            await database.ExecuteAsync(
                $"begin; select actors.start_workflow('default', '{id}', 'Scripted', '\"\"'); select actors.send('default', '{id}', 'm', "
                    + $"'Poke', '[\"hello\"]'); commit");
            await first.WakeAsync(id);
        }
        else
        {
            await StartAsync(first, id, "m");
        }

        await gate.Reached;
        await first.DieAsync();
        var open = new Gate();
        open.Open();
        await using var second = await database.ScriptAsync(Held(open));
        Assert.Equal("hello", await second.ResultAsync<string>(id));
        gate.Open();
    }

    [Fact]
    public async Task One_from_SQL_that_cannot_be_read_is_kept_and_the_code_begins_without_it()
    {
        await using var engine = await database.ScriptAsync(Looks());
        await database.ExecuteAsync("""
            begin;
            select actors.start_workflow('default', 'unfit', 'Scripted', '""');
            select actors.send('default', 'unfit', 'bad', 'Poke', '[{"no": "text"}]'), actors.send('default', 'unfit', 'good', 'Poke', '["good"]');
            commit;
            """);
        await engine.WakeAsync("unfit");
        Assert.Equal("good", await engine.ResultAsync<string>("unfit"));
        var undelivered = Assert.Single((await engine.StatusAsync("unfit")).Undelivered);
        Assert.Equal(("bad", "Poke"), (undelivered.MessageId, undelivered.Name));
        Assert.Contains("cannot be read as String", undelivered.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_further_run_is_told_what_the_one_before_it_was_too_late_for()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0);
            return "";
        });
        var calls = new WorkflowCalls(engine.Engine);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async caller =>
        {
            for (var i = 0; i < 20; i++)
            {
                var id = $"{caller} {i}";
                var signal = new SignalCall("Poke", false, new Payload(JsonSerializer.SerializeToUtf8Bytes(new[] { id })), id);
                CallReply reply;
                do
                {
                    reply = await calls.CallAsync(
                        new WorkflowId("race"),
                        new StartCall(Scripted.Name, new Payload("\"\""u8.ToArray()), StartPolicy.StartNew, signal, id));
                }
                while (reply.Error?.ToException() is WorkflowUnavailableException);
                Assert.Null(reply.Error);
            }
        }));
        Assert.Equal(160, await database.ScalarAsync<int>(
            "select count(*) from actors.journal j join actors.runs w using (instance) where w.id = 'race' and j.message_id is not "
                + "null"));
    }

    [Fact]
    public async Task A_transaction_that_is_repeated_with_its_handle_sends_its_signal_once()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Contains("end"));
            return string.Join(",", w.Heard);
        });
        var handle = new WorkflowClient(null!, new PayloadSerializer(), TimeSpan.FromSeconds(1)).Get<IScripted>("twice").WithSignal(
            w => w.Poke("once"));
        for (var i = 0; i < 2; i++)
        {
            await using var connection = await database.DataSource.OpenConnectionAsync(TestContext.Current.CancellationToken);
            await using var transaction = await connection.BeginTransactionAsync(TestContext.Current.CancellationToken);
            await handle.StartAsync("", transaction, TestContext.Current.CancellationToken);
            await transaction.CommitAsync(TestContext.Current.CancellationToken);
        }

        await engine.WakeAsync("twice");
        await engine.PokeAsync("twice", "end");
        Assert.Equal("once,end", await engine.ResultAsync<string>("twice"));
    }

    [Fact]
    public async Task What_a_handler_s_own_command_refuses_fails_the_run()
    {
        await using var engine = await database.ScriptAsync(new Script(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0);
            return "";
        })
        {
            OnPoke = (w, text) =>
            {
                w.Publish("topic", "key", text);
                return Task.CompletedTask;
            },
        });
        await engine.StartAsync("publishes");
        await database.ExecuteAsync("select actors.send('default', 'publishes', 'm', 'Poke', '[\"a\\u0000b\"]')");
        await engine.WakeAsync("publishes");
        Assert.Contains("U+0000",
            (await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.ResultAsync<string>("publishes"))).ErrorMessage,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_handler_that_throws_before_the_first_line_fails_the_run()
    {
        var began = false;
        await using var engine = await database.ScriptAsync(new Script(w =>
        {
            began = true;
            return Task.FromResult("");
        })
        {
            OnPoke = (_, _) => throw new FormatException("in the handler"),
        });
        await StartAsync(engine, "thrown", "m");
        Assert.Equal("in the handler",
            (await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.ResultAsync<string>("thrown"))).ErrorMessage);
        Assert.False(began);
    }

    private static Task<StartReply> StartAsync(TestEngine engine, string id, string messageId, StartPolicy policy = StartPolicy.Attach) =>
        StartAsync(engine, id,
            new SignalCall("Poke", false, new Payload(JsonSerializer.SerializeToUtf8Bytes(new[] { "hello" })), messageId), policy);

    private static Task<StartReply> StartAsync(TestEngine engine, string id, SignalCall signal, StartPolicy policy = StartPolicy.Attach) =>
        engine.Engine.StartAsync(
            new WorkflowId(id), new StartCall(Scripted.Name, new Payload("\"\""u8.ToArray()), policy, signal, $"request of {id}"));
}
