using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Limits protect the silo from a run, and say which was met; what a run received within the limits it never fails for.</summary>
public sealed class LimitTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private const int Mebibyte = 1024 * 1024;

    private static void Small(ActorsBuilder builder) =>
        (builder.Execution.PayloadSizeMax, builder.Execution.EntrySizeMax) = (Mebibyte, Mebibyte);

    [Fact]
    public async Task Messages_of_one_turn_beyond_the_entry_limit_set_the_run_aside_with_the_place()
    {
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await w.Step("before", () => 0);
                for (var i = 0; i < 3; i++)
                {
                    w.Publish("topic", "k", new string('x', Mebibyte / 2));
                }

                return "";
            },
            Small);
        await engine.StartAsync("messages");
        var reason = await engine.SetAsideAsync("messages");
        Assert.Contains("after publish 'topic' (seq 4, LimitTests.cs:", reason, StringComparison.Ordinal);
        Assert.Contains("(EntrySizeMax) is 1,048,576", reason, StringComparison.Ordinal);
        Assert.Equal(0, await database.CountAsync("outbox", "messages"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Messages_of_one_body_beyond_the_entry_limit_fail_it(bool transaction)
    {
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await (transaction
                    ? w.Transaction("big", tx =>
                        { tx.Publish("topic", "k", new string('x', Mebibyte / 2)); return Task.FromResult(
                        new string('x', Mebibyte - 10)); })
                    : w.Step("big", step =>
                        { step.Publish("topic", "k", new string('x', Mebibyte / 2)); return Task.FromResult(
                        new string('x', Mebibyte - 10)); }));
                return "";
            },
            Small);
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync($"body-{transaction}"));
        Assert.Equal("Actors.PayloadTooLargeException", error.ErrorType);
        Assert.Contains("'big' (seq 1, LimitTests.cs:", error.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Results_that_get_ready_together_beyond_the_entry_limit_are_committed_one_after_the_other()
    {
        var (gate, all) = (new Gate(), 0);
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                var texts = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => w.Step($"s{i}", async _ =>
                {
                    Interlocked.Increment(ref all);
                    await gate.PassAsync();
                    return new string('x', Mebibyte / 2);
                })));
                return $"{texts.Sum(text => text.Length)}";
            },
            Small);
        await engine.StartAsync("fan");
        await gate.Reached;
        gate.Open();
        Assert.Equal($"{8 * (Mebibyte / 2)}", await engine.ResultAsync<string>("fan"));
    }

    [Fact]
    public async Task Ten_thousand_steps_of_one_turn_take_effect_once_each_and_are_replayed()
    {
        var effects = 0;
        await using var engine = await database.ScriptAsync(async w =>
        {
            var all = await Task.WhenAll(
                Enumerable.Range(0, 10_000).Select(i => w.Step("s", () => i + (0 * Interlocked.Increment(ref effects)))));
            await w.WaitUntil(() => w.Heard.Count == 1);
            return $"{all.Sum()}";
        });
        await engine.StartAsync("wide");
        await engine.RestAsync("wide");
        await engine.PokeAsync("wide", "end");
        Assert.Equal($"{10_000 * 9_999 / 2}", await engine.ResultAsync<string>("wide"));
        Assert.Equal(10_000, effects);
    }

    [Fact]
    public async Task A_payload_of_a_hundred_megabytes_is_refused_without_a_round_trip_and_without_a_copy()
    {
        await using var engine = await database.ScriptAsync(async w => { await w.WaitUntil(() => w.Heard.Count == 1); return ""; });
        await engine.StartAsync("huge");
        var bytes = new byte[100 * Mebibyte];
        var (trips, id) = (engine.Probe.RoundTrips, new WorkflowId("huge"));
        foreach (var payload in new[] { new Wire.Payload(bytes), new Wire.Payload(bytes, Encoded: true) })
        {
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            Task[] calls = // Each has thrown before it first waits.
            [
                engine.Engine.StartAsync(new WorkflowId("not made"), new Wire.StartCall(Scripted.Name, payload, StartPolicy.Attach, null)),
                Task.Run(() => engine.Engine.SignalAsync(id, new Wire.SignalCall("Poke", false, payload, "m"))),
                Task.Run(() => engine.Engine.SignalAsync(id, new Wire.SignalCall("topic", true, payload, "m"))),
            ];
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 0, Mebibyte);
            foreach (var call in calls)
            {
                await Assert.ThrowsAsync<PayloadTooLargeException>(() => call);
            }
        }

        Assert.Equal(trips, engine.Probe.RoundTrips);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_flood_of_mail_is_read_part_by_part_and_in_order(bool inMemory)
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count == 25_000);
            return $"{w.Heard.SequenceEqual(Enumerable.Range(1, 25_000).Select(n => $"{n}"))}";
        });
        var id = $"flood-{inMemory}";
        await engine.StartAsync(id);
        if (!inMemory)
        {
            await engine.RestAsync(id);
        }

        await database.ExecuteAsync(
            $"select count(actors.send('default', '{id}', 'm' || n, 'Poke', json_build_array(n::text))) from generate_series(1, 25000) n");
        await engine.WakeAsync(id);
        Assert.Equal("True", await engine.ResultAsync<string>(id));
        Assert.InRange(await database.ScalarAsync<int>(
            $"select max(n) from (select count(*) n from actors.journal j join actors.runs w using (instance) where w.id = '{id}' "
            + $"group by j.at) c"), 1, 10_001);
        Assert.Equal(0, await database.CountAsync("inbox", id));
    }

    [Fact]
    public async Task Mail_and_signals_beyond_the_entry_limit_are_all_delivered()
    {
        await using var engine = await database.ScriptAsync(
            async w => { await w.WaitUntil(() => w.Heard.Count == 12); return string.Concat(w.Heard.Select(text => text[0])); }, Small);
        await engine.StartAsync("mail");
        await engine.RestAsync("mail");
        for (var i = 0; i < 6; i++)
        {
            await database.ExecuteAsync(
                $"select actors.send('default', 'mail', 'm{i}', 'Poke', json_build_array('{i}' || repeat('x', {Mebibyte / 2})))");
        }

        await engine.WakeAsync("mail");
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => engine.PokeAsync("mail", "s" + new string('x', Mebibyte / 2))));
        var heard = await engine.ResultAsync<string>("mail");
        Assert.Equal("012345", heard.Replace("s", "", StringComparison.Ordinal));
        Assert.Equal(0, await database.CountAsync("inbox", "mail"));
    }

    [Fact]
    public async Task A_signal_or_message_too_large_or_not_storable_is_refused_before_it_is_sent()
    {
        await using var engine = await database.ScriptAsync(async w => { await w.WaitUntil(() => w.Heard.Count == 1); return ""; }, Small);
        await engine.StartAsync("signal");
        await Assert.ThrowsAsync<PayloadTooLargeException>(() => engine.PokeAsync("signal", new string('x', Mebibyte + 1)));
        await Assert.ThrowsAsync<PayloadException>(() => engine.PokeAsync("signal", "\0"));
        await Assert.ThrowsAsync<PayloadException>(() => engine.SendAsync("signal", "topic", "\0"));
        var raw = new Wire.SignalCall("Poke", false, new Wire.Payload("[\"\\u0000\"]"u8.ToArray()), "m");
        await Assert.ThrowsAsync<PayloadException>(() => engine.Engine.SignalAsync(new WorkflowId("signal"), raw));
        var large = new Wire.SignalCall(
            "large", true, new Wire.Payload(System.Text.Encoding.UTF8.GetBytes($"\"{new string('x', Mebibyte)}\"")), "m");
        await Assert.ThrowsAsync<PayloadTooLargeException>(() => engine.Engine.SignalAsync(new WorkflowId("signal"), large));
        var broken = new Wire.SignalCall("broken", true, new Wire.Payload("{"u8.ToArray()), "m");
        await Assert.ThrowsAsync<PayloadException>(() => engine.Engine.SignalAsync(new WorkflowId("signal"), broken));
        Assert.Single(await database.JournalAsync("signal"));
        await engine.PokeAsync("signal", "small");
        Assert.Equal("", await engine.ResultAsync<string>("signal"));
    }

    /// <summary>Text that Postgres cannot hold would be refused with a whole group, and again with every try.</summary>
    [Fact]
    public async Task Names_that_cannot_be_stored_throw_where_they_are_given()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            Action[] refused =
            [
                () => w.Step("half \uD800", () => 0), () => w.Step("", () => 0), () =>
                    w.Transaction("half \uDC00 pair", _ => Task.CompletedTask),
                () => w.Publish("topic\n", "k", 1), () => w.Publish("topic", "half \uD83D", 1), () =>
                    w.Publish("topic", new string('k', 201), 1),
            ];
            Assert.All(refused, give => Assert.ThrowsAny<ArgumentException>(give));
            return await w.Step("whole \uD83D\uDE00", () => "fine");
        });
        Assert.Equal("fine", await engine.RunAsync("names"));
    }

    [Fact]
    public async Task Each_of_very_many_messages_has_a_number_of_its_own()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("many", step =>
            {
                for (var i = 0; i < 65_536; i++)
                {
                    step.Publish("topic", "k", 1);
                }

                return Task.CompletedTask;
            });
            w.Publish("topic", "k", 2);
            return "";
        });
        await engine.RunAsync("many");
        Assert.Equal(65_537, await database.ScalarAsync<int>(
            "select count(distinct ordinal) from actors.outbox o join actors.runs w using (instance) where w.id = 'many'"));
        Assert.Equal(65_537, await database.ScalarAsync<int>(
            "select max(ordinal) from actors.outbox o join actors.runs w using (instance) where w.id = 'many'"));
    }

    [Fact]
    public async Task A_publish_that_cannot_be_kept_throws_in_the_code()
    {
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                var errors = new List<string>();
                foreach (var (topic, message) in new[] { ("topic", new string('x', Mebibyte)), ("topic", "\0"), ("nowhere", "") })
                {
                    try
                    {
                        w.Publish(topic, "k", message);
                    }
                    catch (ActorsException error)
                    {
                        errors.Add(error.GetType().Name);
                    }
                }

                await w.Step("goes on", () => 0);
                return string.Join(",", errors);
            },
            Small);
        Assert.Equal("PayloadTooLargeException,PayloadException,UnknownTopicException", await engine.RunAsync("publish"));
        Assert.Equal("", await engine.AskAsync("publish"));
    }

    [Fact]
    public async Task A_run_that_was_in_the_memory_of_too_many_silos_that_died_is_set_aside_before_its_code_runs()
    {
        var (runs, gate) = (0, new Gate());
        Func<Scripted, Task<string>> code = async w =>
        {
            Interlocked.Increment(ref runs);
            await w.Step("kills", _ => gate.PassAsync());
            return "survived";
        };
        var engines = new List<TestEngine>();
        for (var i = 0; i < 4; i++)
        {
            engines.Add(await database.ScriptAsync(code, builder => builder.Execution.CrashLimit = 3));
        }

        await engines[0].StartAsync("kills");
        foreach (var next in engines.Skip(1).Take(2))
        {
            await engines[engines.IndexOf(next) - 1].DieAsync();
            await next.WakeAsync("kills");
        }

        await engines[2].DieAsync();
        var reason = await engines[3].SetAsideAsync("kills");
        Assert.Contains("in memory of 3 silos that died, without a commit in between (CrashLimit 3)", reason, StringComparison.Ordinal);
        Assert.Equal(3, runs);
        gate.Open();
        Assert.True(await engines[3].Engine.ResumeAsync(new WorkflowId("kills"), new ResumeCall($"{Guid.NewGuid()}")));
        Assert.Equal("survived", await engines[3].ResultAsync<string>("kills"));
        foreach (var engine in engines)
        {
            await engine.DisposeAsync();
        }
    }

    [Fact]
    public async Task Commits_in_between_and_runs_that_only_wait_do_not_count_as_crashes()
    {
        Func<Scripted, Task<string>> code = async w =>
        {
            if (w.Input == "steps")
            {
                for (var i = 1; i <= 4; i++)
                {
                    var n = i;
                    await w.WaitUntil(() => w.Heard.Count >= n, TimeSpan.FromDays(1)); // Gives a timer up each time.
                    await w.Step("works", () => 0);
                }
            }

            await w.WaitUntil(() => w.Heard.Count == 5);
            return "done";
        };
        var engines = new List<TestEngine>();
        for (var i = 0; i < 5; i++)
        {
            engines.Add(await database.ScriptAsync(code, builder => builder.Execution.CrashLimit = 2));
        }

        await engines[0].StartAsync("steps", "steps");
        await engines[0].StartAsync("waits", "waits");
        for (var i = 0; i < 5; i++)
        {
            await engines[i].WakeAsync("waits");
            while (await database.ScalarAsync<int>("select crash_count from actors.runs where id = 'waits'") > 0)
            {
                await Task.Yield(); // Its new owner says that it only waits.
            }

            await engines[i].PokeAsync("steps", $"{i}");
            await (i < 4 ? engines[i].DieAsync() : Task.CompletedTask);
        }

        Assert.Equal("done", await engines[4].ResultAsync<string>("steps"));
        Assert.Equal((int)WorkflowStatus.Running, (await engines[4].StatusAsync("waits")).Status);
        foreach (var engine in engines)
        {
            await engine.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_timer_that_was_given_up_does_not_hide_a_crash()
    {
        var gate = new Gate();
        Func<Scripted, Task<string>> code = async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0, TimeSpan.FromDays(1));
            await w.Step("kills", _ => gate.PassAsync());
            return "";
        };
        await using var first = await database.ScriptAsync(code);
        await using var second = await database.ScriptAsync(code);
        await first.StartAsync("hides");
        await first.PokeAsync("hides", "go");
        await gate.Reached;
        await first.DieAsync();
        await second.WakeAsync("hides");
        Assert.Equal("go", await second.AskAsync("hides"));
        Assert.Equal(1, await database.ScalarAsync<int>("select crash_count from actors.runs where id = 'hides'"));
        gate.Open();
    }
}
