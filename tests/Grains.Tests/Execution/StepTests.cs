using System.Text.Json.Serialization;
using System.Text.Json;
using Actors.Support;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Steps: attempts, their records, and what crosses the journal.</summary>
public sealed class StepTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static readonly TimeSpan Instant = TimeSpan.FromMilliseconds(1);

    [Fact]
    public async Task The_idempotency_key_is_the_same_in_every_attempt_and_after_a_crash()
    {
        var (keys, gate) = (new List<string>(), new Gate());
        Func<Scripted, Task<string>> Code(Func<Task> hold) => async w => await w.Step(
            "charge",
            async step =>
            {
                lock (keys)
                {
                    keys.Add(step.IdempotencyKey);
                }

                if (step.Attempt < 3)
                {
                    throw new FormatException();
                }

                await hold();
                return step.IdempotencyKey;
            },
            Retry.Exponential(3, Instant));
        await using var first = await database.ScriptAsync(Code(gate.PassAsync));
        await using var second = await database.ScriptAsync(Code(() => Task.CompletedTask));
        await first.StartAsync("key");
        await gate.Reached;
        await first.DieAsync();
        Assert.Equal(keys[0], await second.RunAsync("key"));
        Assert.Equal(4, keys.Count);
        Assert.Single(keys.Distinct());
        gate.Open();
    }

    [Fact]
    public async Task Idempotency_keys_differ_between_steps_and_between_runs()
    {
        await using var engine = await database.ScriptAsync(async w =>
            string.Join(",", await Task.WhenAll(
                Enumerable.Range(0, 3).Select(_ => w.Step("same name", step => Task.FromResult(step.IdempotencyKey))))));
        var first = await engine.RunAsync("keys");
        await engine.StartAsync("keys", policy: StartPolicy.StartNew);
        var second = await engine.ResultAsync<string>("keys");
        Assert.Equal(6, $"{first},{second}".Split(',').Distinct().Count());
    }

    [Fact]
    public async Task A_body_that_blocks_its_thread_holds_up_no_other_run_and_no_call_to_its_own()
    {
        using var block = new ManualResetEventSlim();
        var blocked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("first", _ => Task.FromResult(1)); // The body of the second runs where the commit of the first was answered.
            await w.Step("second", _ =>
            {
                if (w.Id.Id == "blocks")
                {
                    blocked.SetResult();
                    block.Wait(TimeSpan.FromSeconds(30));
                }

                return Task.FromResult(2);
            });
            return "done";
        });
        await engine.StartAsync("blocks");
        await blocked.Task;
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal("done", await engine.RunAsync($"free {i}"));
        }

        await engine.SendAsync("blocks", "topic", 1);
        Assert.False(block.IsSet);
        block.Set();
        Assert.Equal("done", await engine.ResultAsync<string>("blocks"));
    }

    [Fact]
    public async Task A_step_is_tried_as_often_as_its_policy_says_and_then_fails()
    {
        var attempts = new List<int>();
        await using var engine = await database.ScriptAsync(async w =>
        {
            try
            {
                return await w.Step<string>(
                    "flaky", step => { attempts.Add(step.Attempt); throw new FormatException($"no {step.Attempt}"); },
                    Retry.Exponential(4, Instant));
            }
            catch (StepFailedException error)
            {
                return $"{error.Step} {error.Attempts} {error.ErrorType} {error.ErrorMessage} {error.Is<FormatException>()} "
                    + $"{error.Is<Exception>()}";
            }
        });
        Assert.Equal("flaky 4 System.FormatException no 4 True False", await engine.RunAsync("attempts"));
        Assert.Equal([1, 2, 3, 4], attempts);
        Assert.Equal(0, await database.CountAsync("timers", "attempts"));
    }

    [Fact]
    public async Task A_failure_is_the_same_live_and_in_replay()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            try
            {
                await w.Step("fails", FailAsync, Retry.Exponential(2, Instant));
            }
            catch (StepFailedException error)
            {
                w.Heard.Add($"{error.Message}|{error.Attempts}|{error.ErrorType}|{error.ErrorMessage}|{error.ErrorStack}");
            }

            return w.Heard[0];
        });
        var live = await engine.RunAsync("failure");
        Assert.Contains(nameof(FailAsync), live, StringComparison.Ordinal);
        Assert.Equal(live, await engine.AskAsync("failure"));
    }

    [Fact]
    public async Task A_failed_step_that_nobody_catches_fails_the_run_with_the_original_error()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("fails", FailAsync, Retry.None);
            return "";
        });
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync("uncaught"));
        Assert.Equal("System.FormatException", error.ErrorType);
        Assert.Contains("bad luck", error.ErrorMessage, StringComparison.Ordinal);
        Assert.Contains(nameof(FailAsync), error.ErrorStack, StringComparison.Ordinal);
        Assert.Contains("bad luck", (await engine.StatusAsync("uncaught")).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_exception_that_the_policy_excepts_is_not_retried()
    {
        var calls = 0;
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("declined", _ => { calls++; return FailAsync(_); }, Retry.Exponential(5, Instant).Except<FormatException>());
            return "";
        });
        await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync("except"));
        Assert.Equal(1, calls);
    }

    [Fact]
    public async Task Recorded_failures_count_across_crashes()
    {
        var (calls, gate) = (0, new Gate());
        Func<Scripted, Task<string>> Code(Func<int, Task> hold) => async w => await w.Step(
            "flaky",
            async step =>
            {
                Interlocked.Increment(ref calls);
                await hold(step.Attempt);
                return step.Attempt < 4 ? throw new FormatException() : $"attempt {step.Attempt}";
            },
            Retry.Exponential(4, Instant));
        await using var first = await database.ScriptAsync(Code(attempt => attempt == 3 ? gate.PassAsync() : Task.CompletedTask));
        await using var second = await database.ScriptAsync(Code(_ => Task.CompletedTask));
        await first.StartAsync("count");
        await gate.Reached;
        await first.DieAsync();
        Assert.Equal("attempt 4", await second.RunAsync("count"));
        Assert.Equal(5, calls);
        gate.Open();
    }

    [Fact]
    public async Task The_pauses_between_attempts_grow_to_the_cap_and_are_durable_timers()
    {
        var clock = await TestClock.CreateAsync(database);
        var pauses = new List<double>();
        Func<Scripted, Task<string>> code = async w => await w.Step(
            "slow", step => step.Attempt < 5 ? throw new FormatException() : Task.FromResult("done"),
            Retry.Exponential(5, TimeSpan.FromMinutes(1), 3, TimeSpan.FromMinutes(10)));
        await using var engine = await database.ScriptAsync(code);
        await engine.StartAsync("pauses");
        for (var failures = 1; failures < 5; failures++)
        {
            while (await database.ScalarAsync<int>(Failures) < failures)
            {
                await Task.Yield();
            }

            await engine.RestAsync("pauses");
            Assert.Null(engine.Engine.Resident(new WorkflowId("pauses")));
            pauses.Add(await database.ScalarAsync<double>(
                "select extract(epoch from t.due_at - (select max(at) from actors.journal j where j.instance = t.instance)) from "
                    + "actors.timers t "
                + "join actors.runs w using (instance) where w.id = 'pauses'"));
            await clock.MoveAsync(TimeSpan.FromMinutes(10));
            await engine.HearClockAsync();
            await engine.WakeAsync("pauses");
        }

        Assert.Equal("done", await engine.ResultAsync<string>("pauses"));
        Assert.Equal([60, 180, 540, 600], pauses.Select(p => Math.Round(p / 10) * 10));
    }

    private const string Failures =
        "select count(*) from actors.journal j join actors.runs w using (instance) where w.id = 'pauses' and j.kind = 3";

    [Fact]
    public async Task An_attempt_that_outlasts_its_time_has_failed_even_if_it_ignores_its_token()
    {
        var never = new TaskCompletionSource<string>();
        using var block = new ManualResetEventSlim();
        await using var engine = await database.ScriptAsync(async w =>
        {
            var policy = Retry.Exponential(2, Instant).WithAttemptTimeout(TimeSpan.FromMilliseconds(20));
            var waits = await w.Step("waits", step => step.Attempt == 1 ? never.Task : Task.FromResult("waited"), policy);
            var blocks = await w.Step(
                "blocks", step => { if (step.Attempt == 1) { block.Wait(); } return Task.FromResult("blocked"); }, policy);
            var asks = await w.Step(
                "asks", async step => { await Task.Delay(step.Attempt == 1 ? -1 : 0, step.Cancellation); return "asked"; }, policy);
            return waits + blocks + asks;
        });
        Assert.Equal("waitedblockedasked", await engine.RunAsync("time"));
        Assert.Equal(3, (await database.JournalAsync("time")).Count(
            row => row.Contains("System.TimeoutException", StringComparison.Ordinal)));
        block.Set();
    }

    [Theory]
    [InlineData("too large", nameof(PayloadTooLargeException))]
    [InlineData("cycle", nameof(PayloadException))]
    [InlineData("getter", nameof(PayloadException))]
    [InlineData("U+0000", nameof(PayloadException))]
    [InlineData("unreadable", nameof(PayloadException))]
    public async Task A_result_that_cannot_be_kept_fails_the_step_at_once_and_says_why(string what, string type)
    {
        var calls = 0;
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                try
                {
                    await w.Step<object>("makes", () => { calls++; return Awkward(what); });
                }
                catch (StepFailedException error)
                {
                    return error.Message;
                }

                return "kept";
            },
            builder => builder.Execution.PayloadSizeMax = 4096);
        var message = await engine.RunAsync(what);
        Assert.Contains($"Actors.{type}", message, StringComparison.Ordinal);
        Assert.Contains("step 'makes' (seq 1, StepTests.cs:", message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", message, StringComparison.Ordinal);
        Assert.Equal(1, calls);
    }

    private static object Awkward(string what) => what switch
    {
        "too large" => new string('x', 5000),
        "cycle" => new Cycle(),
        "getter" => new Throwing(),
        "U+0000" => "secret\0",
        _ => typeof(string),
    };

    [Fact]
    public async Task A_result_that_code_cannot_read_back_sets_the_run_aside_and_is_kept()
    {
        await using var engine = await database.ScriptAsync(async w => (await w.Step("one way", () => new OneWay(1))).ToString()!);
        await engine.StartAsync("one-way");
        Assert.Contains("cannot be read as OneWay", await engine.SetAsideAsync("one-way"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("step")]
    [InlineData("transaction")]
    public async Task A_result_of_which_something_would_be_lost_is_refused_before_its_body_runs(string kind)
    {
        var calls = 0;
        await using var engine = await database.ScriptAsync(async w => $"{await (kind == "step"
            ? w.Step("counts", _ => { calls++; return Task.FromResult(System.Numerics.BigInteger.One); })
            : w.Transaction("counts", _ => { calls++; return Task.FromResult(System.Numerics.BigInteger.One); }))}");
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync($"loses {kind}"));
        Assert.Contains("'counts' at StepTests.cs:", error.Message, StringComparison.Ordinal);
        Assert.Contains("is BigInteger, and BigInteger._sign would be lost in JSON", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, calls);
    }

    [Fact]
    public async Task Values_of_all_kinds_come_back_as_they_were()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            var nothing = await w.Step<string?>("null", () => null);
            var none = await w.Step<int?>("no number", () => null);
            await w.Step("void", _ => Task.CompletedTask);
            var number = await w.Step("decimal", () => 12345678901234567890.123m);
            var time = await w.Step("time", () => new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.FromHours(2)));
            var record = await w.Step("record", () => new Parcel("a", [1, 2], Size.Large, new DateOnly(2026, 1, 2)));
            var order = await w.Step("dictionary", () => new Dictionary<string, int> { ["z"] = 1, ["a"] = 2, ["zz"] = 3, ["m"] = 4 });
            return $"{nothing is null} {none is null} {number} {time:O} {record.Name} {record.Numbers.Sum()} {record.Size} {record.Day:O} "
                + $"{string.Concat(order.Keys)}";
        });
        const string expected = "True True 12345678901234567890.123 2026-01-02T03:04:05.0000000+02:00 a 3 Large 2026-01-02 zazzm";
        Assert.Equal(expected, await engine.RunAsync("values"));
    }

    [Fact]
    public async Task A_failing_step_fails_within_the_smallest_payload_limit()
    {
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await w.Step("long", _ => throw new FormatException(new string('ü', 100_000)), Retry.Exponential(2, Instant));
                return "";
            },
            builder => builder.Execution.PayloadSizeMax = 1024);
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync("small"));
        Assert.Equal("System.FormatException", error.ErrorType);
    }

    [Fact]
    public async Task A_callback_of_the_steps_token_that_throws_does_not_keep_the_run_in_memory()
    {
        var gate = new Gate();
        await using var engine = await database.ScriptAsync(async w => await await Task.WhenAny(
            w.Step("loses", async step =>
                { step.Cancellation.Register(() => throw new FormatException()); await gate.PassAsync(); return "lost"; }),
            w.Step("wins", async _ => { await gate.Reached; return "won"; })));
        Assert.Equal("won", await engine.RunAsync("callback"));
        await engine.LeftAsync("callback");
        Assert.Equal(0, engine.Engine.ResidentCount);
        gate.Open();
    }

    [Fact]
    public async Task Messages_of_a_failed_attempt_are_not_published()
    {
        await using var engine = await database.ScriptAsync(async w => await w.Step(
            "publishes",
            step =>
            {
                step.Publish("topic", "k", step.Attempt);
                return step.Attempt == 1 ? throw new FormatException() : Task.FromResult("");
            },
            Retry.Exponential(2, Instant)));
        await engine.RunAsync("publishes");
        Assert.Equal("2", await database.ScalarAsync<string>("select payload::text from actors.outbox"));
    }

    private static Task FailAsync(StepContext step) => throw new FormatException("bad luck");

    private enum Size
    {
        Small,
        Large,
    }

    private sealed record Parcel(string Name, int[] Numbers, Size Size, DateOnly Day);

    private sealed class Cycle
    {
        public Cycle Self => this;
    }

    private sealed class Throwing
    {
        public string Value => throw new FieldAccessException("secret");
    }

    /// <summary>Its converter says that it carries it, and is wrong.</summary>
    [JsonConverter(typeof(Converter))]
    private sealed record OneWay(int Number)
    {
        private sealed class Converter : JsonConverter<OneWay>
        {
            public override OneWay Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
                throw new NotSupportedException();

            public override void Write(Utf8JsonWriter writer, OneWay value, JsonSerializerOptions options) =>
                writer.WriteNumberValue(value.Number);
        }
    }
}
