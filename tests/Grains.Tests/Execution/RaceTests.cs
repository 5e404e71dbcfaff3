using System.Runtime.CompilerServices;
using System.Text.Json;
using Actors.Execution;
using Actors.Storage;
using Actors.Support;
using Actors.Wire;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Races and fan-outs take the same branch live and in replay, after a crash in between.</summary>
public sealed class RaceTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    /// <summary>Runs the code until it waits for a poke, lets the process die there, and ends it on another, whose slow steps are
    /// fast.</summary>
    private async Task<string> CrashAndEndAsync(
        string id, Func<Scripted, Func<string, Task<string>>, Task<string>> code, Func<TestEngine, Task>? meanwhile = null)
    {
        var (slow, waits) = (new Gate(), new Gate());
        async Task<string> Code(Scripted w, Func<string, Task<string>> hold)
        {
            var branch = await code(w, hold);
            await w.Step($"took {branch}", () => 0);
            await w.Step("waits", () => { waits.PassAsync(); return 0; });
            await w.WaitUntil(() => w.Heard.Count > 0);
            return branch;
        }

        await using var first = await database.ScriptAsync(w => Code(w, slow.PassAsync));
        await using var second = await database.ScriptAsync(w => Code(w, Task.FromResult));
        await first.StartAsync(id);
        await (meanwhile?.Invoke(first) ?? Task.CompletedTask);
        await waits.Reached;
        await first.DieAsync();
        await second.WakeAsync(id);
        await second.PokeAsync(id, "go");
        var result = await second.ResultAsync<string>(id);
        slow.Open();
        return result;
    }

    [Fact]
    public async Task What_is_asked_of_a_run_before_it_begins_waits_for_that()
    {
        await using var engine = await database.ScriptAsync(Heard);
        var (context, id) = (engine.Engine.Context, new WorkflowId("before"));
        var start = new Start(
            id, Scripted.Name, context.Codes.Of(Scripted.Name), 1_000_000_000_000, Guid.NewGuid(), new Payload("\"\""u8.ToArray()));
        await Task.Run(() => context.Journal.StartAsync(start), TestContext.Current.CancellationToken);
        var row = (await context.Claims.ReadRunAsync(id))!;
        var history = new JournalRow(JournalKind.Started, 0, start.Type, start.Input) { Position = 0, At = row.CreatedAt };
        var instance = new ResidentRun(context, row, context.Types.Get(start.Type, id), [history], [], _ => { });
        var signal = instance.SignalAsync(new SignalCall("Poke", false, new Payload("[\"early\"]"u8.ToArray()), "m"));
        instance.Begin();
        await signal;
        Assert.Equal("early", await engine.ResultAsync<string>("before"));
    }

    /// <summary>Else the heap of a silo that takes over many would hold all their histories at once.</summary>
    [Fact]
    public async Task A_run_in_memory_does_not_keep_the_history_that_it_has_replayed()
    {
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await w.WaitUntil(() => w.Heard.Count > 1);
                return w.Heard[0];
            },
            actors => actors.Execution.ReplayCheck = ReplayCheck.Off); // Which keeps what it compares.
        var (run, input) = await EnterAsync(engine);
        for (var tries = 0; tries < 100 && input.IsAlive; tries++)
        {
            GC.Collect();
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        Assert.False(input.IsAlive);
        Assert.Null(run.Evicted);
    }

    /// <summary>A run that has replayed its start and heard one signal, and the bytes of its input.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<(ResidentRun Run, WeakReference Input)> EnterAsync(TestEngine engine)
    {
        var (context, id) = (engine.Engine.Context, new WorkflowId("forgets"));
        var input = JsonSerializer.SerializeToUtf8Bytes(new string('x', 10_000));
        var start = new Start(id, Scripted.Name, context.Codes.Of(Scripted.Name), 1_000_000_000_001, Guid.NewGuid(), new Payload(input));
        await Task.Run(() => context.Journal.StartAsync(start), TestContext.Current.CancellationToken);
        var row = (await context.Claims.ReadRunAsync(id))!;
        var history = new JournalRow(JournalKind.Started, 0, start.Type, start.Input) { Position = 0, At = row.CreatedAt };
        var run = new ResidentRun(context, row, context.Types.Get(start.Type, id), [history], [], _ => { });
        run.Begin();
        await run.SignalAsync(new SignalCall("Poke", false, new Payload("[\"one\"]"u8.ToArray()), "m"));
        return (run, new WeakReference(input));
    }

    [Fact]
    public async Task Callers_who_start_the_same_run_and_signal_it_at_once_are_all_heard()
    {
        await using var engine = await database.ScriptAsync(Heard);
        for (var round = 0; round < (TestTier.IsAll ? 100 : 10); round++)
        {
            var ids = Enumerable.Range(0, 64).Select(i => $"crowd-{round}-{i}").ToList();
            await Task.WhenAll(ids.SelectMany(
                id => Enumerable.Range(0, 4).Select(caller => Task.Run(() => StartAndPokeAsync(id, $"{caller}"))))).WaitAsync(
                TimeSpan.FromSeconds(30));
            foreach (var id in ids)
            {
                Assert.NotEmpty(await engine.ResultAsync<string>(id));
            }
        }

        async Task StartAndPokeAsync(string id, string caller)
        {
            await engine.StartAsync(id);
            try
            {
                await engine.PokeAsync(id, caller, caller);
            }
            catch (WorkflowEndedException)
            {
                // Another's was enough.
            }
        }
    }

    private static async Task<string> Heard(Scripted w)
    {
        await w.WaitUntil(() => w.Heard.Count > 0);
        return w.Heard[0];
    }

    [Fact]
    public async Task A_race_of_two_steps_takes_the_same_branch_after_a_crash() =>
        Assert.Equal("b", await CrashAndEndAsync("two", async (w, hold) =>
        await await Task.WhenAny(w.Step("a", _ => hold("a")), w.Step("b", () => "b"))));

    [Fact]
    public async Task A_race_of_three_steps_takes_the_same_branch_after_a_crash() =>
        Assert.Equal("c", await CrashAndEndAsync("three", async (w, hold) =>
        await await Task.WhenAny(w.Step("a", _ => hold("a")), w.Step("b", _ => hold("b")), w.Step("c", () => "c"))));

    [Fact]
    public async Task A_race_of_a_list_of_steps_takes_the_same_branch_after_a_crash() =>
        Assert.Equal("b", await CrashAndEndAsync("list", async (w, hold) =>
        await await Task.WhenAny(new List<Task<string>> { w.Step("a", _ => hold("a")), w.Step("b", () => "b") })));

    [Fact]
    public async Task WhenEach_is_refused_because_it_hands_completions_to_other_threads()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            var text = "";
            await foreach (var step in Task.WhenEach(w.Step("a", () => "a"), w.Step("b", () => "b")))
            {
                text += await step;
            }

            return text;
        });
        await engine.StartAsync("each");
        Assert.Contains("Task.WhenEach", await engine.SetAsideAsync("each"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_step_that_beats_a_sleep_beats_it_in_replay_too() =>
        Assert.Equal("step", await CrashAndEndAsync("step-sleep", async (w, _) =>
        await Task.WhenAny(w.Sleep(TimeSpan.FromSeconds(30)), w.Step("s", () => 0)) is Task<int> ? "step" : "sleep"));

    [Fact]
    public async Task A_sleep_that_beats_a_step_beats_it_in_replay_too() =>
        Assert.Equal("sleep", await CrashAndEndAsync("sleep-step", async (w, hold) =>
        await Task.WhenAny(w.Sleep(TimeSpan.FromMilliseconds(1)), w.Step("s", _ => hold("s"))) is Task<string> ? "step" : "sleep"));

    [Fact]
    public async Task A_signal_that_beats_a_time_out_beats_it_in_replay_too() => Assert.Equal("signal", await CrashAndEndAsync(
        "signal-timer",
        async (w, _) =>
        {
            var heard = await w.WaitUntil(() => w.Heard.Count > 0, TimeSpan.FromHours(1));
            w.Heard.Clear();
            return heard ? "signal" : "timer";
        },
        engine => engine.PokeAsync("signal-timer", "now")));

    [Fact]
    public async Task A_time_out_that_beats_a_signal_beats_it_in_replay_too() =>
        Assert.Equal("timer", await CrashAndEndAsync("timer-signal", async (w, _) =>
        await w.WaitUntil(() => w.Heard.Count > 0, TimeSpan.FromMilliseconds(1)) ? "signal" : "timer"));

    [Fact]
    public async Task A_received_message_and_a_sleep_race_alike_in_replay() => Assert.Equal("hello", await CrashAndEndAsync(
        "receive-sleep",
        async (w, _) => await Task.WhenAny(w.Receive<string>("mail"), w.Sleep(TimeSpan.FromHours(1))) is Task<string> mail ? await mail
            : "sleep",
        engine => engine.SendAsync("receive-sleep", "mail", "hello")));

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(50)]
    public async Task A_fan_out_keeps_what_was_recorded_when_its_silo_dies(int width)
    {
        var (gate, calls) = (new Gate(), new int[width]);
        Func<Scripted, Task<string>> Code(Func<Task> hold) => async w =>
        {
            var all = await Task.WhenAll(Enumerable.Range(0, width).Select(i => w.Step($"s{i}", async _ =>
            {
                Interlocked.Increment(ref calls[i]);
                if (i == 0)
                {
                    await hold();
                }

                return i;
            })));
            return string.Join(",", all);
        };
        await using var first = await database.ScriptAsync(Code(gate.PassAsync));
        await using var second = await database.ScriptAsync(Code(() => Task.CompletedTask));
        var others = new Gate();
        first.Probe.After = async name =>
            await (name == "commit" && await StepsAsync($"fan-{width}") == width - 1 ? others.PassAsync() : Task.CompletedTask);
        await first.StartAsync($"fan-{width}");
        await others.Reached;
        await first.DieAsync();
        Assert.Equal(string.Join(",", Enumerable.Range(0, width)), await second.RunAsync($"fan-{width}"));
        Assert.Equal(2, calls[0]);
        Assert.All(calls[1..], count => Assert.Equal(1, count));
        others.Open();
        gate.Open();
    }

    private Task<int> StepsAsync(string id) => database.ScalarAsync<int>(
        $"select count(*) from actors.journal j join actors.runs w using (instance) where w.id = '{id}' and j.kind = 1");
}
