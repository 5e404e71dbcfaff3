using System.Runtime.CompilerServices;
using Actors.Execution;
using Actors.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Code that cannot be replayed is found, named by file and line where there is one, and set aside without loss.</summary>
public sealed class CodeErrorTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static int Line([CallerLineNumber] int line = 0) => line;

    private async Task<string> ReasonAsync(string id, Func<Scripted, Task<string>> code, Func<TestEngine, Task>? meanwhile = null)
    {
        await using var engine = await database.ScriptAsync(code);
        await engine.StartAsync(id);
        await (meanwhile?.Invoke(engine) ?? Task.CompletedTask);
        var reason = await engine.SetAsideAsync(id);
        Assert.Contains($"Workflow '{id}'", reason, StringComparison.Ordinal);
        return reason;
    }

    [Fact]
    public async Task A_step_that_was_not_awaited_at_the_end()
    {
        var (line, never) = (0, new Gate());
        var reason = await ReasonAsync("unawaited", w =>
        {
            line = Line() + 1;
            _ = w.Step("forgotten", _ => never.PassAsync());
            return Task.FromResult("");
        });
        Assert.Contains($"step 'forgotten' (seq 1, CodeErrorTests.cs:{line}) was not awaited", reason, StringComparison.Ordinal);
        never.Open();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_async_void_method_that_throws(bool later)
    {
        var reason = await ReasonAsync($"void {later}", async w =>
        {
            async void Fire()
            {
                await (later ? w.Sleep(TimeSpan.FromMilliseconds(1)) : Task.CompletedTask);
                throw new FormatException("unseen");
            }

            Fire();
            await w.WaitUntil(() => w.Heard.Count > 0);
            return "";
        });
        Assert.Contains("an async void method threw FormatException (unseen)", reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_transaction_that_was_not_awaited_at_the_end_also_in_the_second_life_of_a_run(bool replayed)
    {
        var (id, never) = ($"unawaited-{replayed}", new Gate());
        Func<Scripted, Task<string>> code = async w =>
        {
            _ = w.Transaction("held", _ => never.PassAsync());
            await w.WaitUntil(() => w.Heard.Count > 0);
            return "";
        };
        await using var first = await database.ScriptAsync(code);
        await using var second = await database.ScriptAsync(code);
        await first.StartAsync(id);
        await (replayed ? first.DieAsync() : Task.CompletedTask);
        var engine = replayed ? second : first;
        await engine.PokeAsync(id, "end");
        Assert.Contains("transaction 'held' (seq 1, CodeErrorTests.cs:", await engine.SetAsideAsync(id), StringComparison.Ordinal);
        Assert.DoesNotContain(await database.JournalAsync(id), row => row.Contains("Completed", StringComparison.Ordinal));
        never.Open();
    }

    [Fact]
    public async Task Losers_of_a_race_and_completed_commands_need_no_await()
    {
        var never = new Gate();
        await using var engine = await database.ScriptAsync(async w =>
        {
            await Task.WhenAny(w.Step("loses", _ => never.PassAsync()), w.Sleep(TimeSpan.FromHours(1)), w.WaitUntil(() => false),
                w.Receive<int>("x"), w.Step("wins", () => 0));
            var ends = w.Step("ends by itself", () => 0);
            await Task.WhenAny(Task.CompletedTask, w.Sleep(TimeSpan.FromHours(1))); // Not even looked at.
            await w.WaitUntil(() => ends.IsCompleted);
            return "fine";
        });
        Assert.Equal("fine", await engine.RunAsync("losers"));
        never.Open();
    }

    [Theory]
    [InlineData("Task.Run")]
    [InlineData("Task.Delay")]
    [InlineData("Task.Yield on another scheduler")]
    [InlineData("ConfigureAwait(false)")]
    [InlineData("a task of its own")]
    public async Task Code_that_waits_for_something_that_is_not_its_command(string what)
    {
        var own = new TaskCompletionSource();
        using var release = new ManualResetEventSlim();
        var reason = await ReasonAsync($"waits-{what}", async w =>
        {
            await w.Step("before", () => 0);
            switch (what)
            {
                case "Task.Run":
                    await Task.Run(release.Wait);
                    break;
                case "Task.Delay":
                    await Task.Delay(-1);
                    break;
                case "Task.Yield on another scheduler":
                    await Task.Factory.StartNew(release.Wait, CancellationToken.None, TaskCreationOptions.None, TaskScheduler.Default);
                    break;
                case "ConfigureAwait(false)":
                    await w.Step("plain", () => 0).ConfigureAwait(false);
                    break;
                default:
                    await own.Task;
                    break;
            }

            await w.Step("after", () => 0);
            return "";
        });
        release.Set();
        Assert.Contains(what == "ConfigureAwait(false)" ? "after step 'plain' (seq 2, CodeErrorTests.cs:"
            : "after step 'before' (seq 1, CodeErrorTests.cs:", reason, StringComparison.Ordinal);
        Assert.Contains("Move that work into a Step", reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_continuation_that_comes_from_outside_the_scheduler()
    {
        var outside = new TaskCompletionSource();
        var reason = await ReasonAsync(
            "outside",
            async w =>
            {
                var sleep = w.Sleep(TimeSpan.FromHours(1)); // So the code has something to wait for.
                await Task.WhenAny(outside.Task, sleep);
                return "";
            },
            async engine =>
            {
                Assert.Equal("", await engine.AskAsync("outside")); // It waits.
                outside.SetResult();
            });
        Assert.Contains("A continuation came from outside the workflow's scheduler after sleep 'sleep' (seq 1, CodeErrorTests.cs:", reason,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("body")]
    [InlineData("ContinueWith")]
    [InlineData("Task.Run")]
    public async Task A_command_given_from_outside_the_scheduler(string where)
    {
        var line = 0;
        var reason = await ReasonAsync($"command-{where}", async w =>
        {
            line = Line() + 1;
            Task Command() => w.Step("inner", () => 0);
            await (where switch
            {
                "body" => w.Step("outer", _ => Command(), Retry.None),
                "ContinueWith" => Task.WhenAll(
                    w.Step("outer", () => 0).ContinueWith(
                        _ => Command(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default).Unwrap(),
                    w.Sleep(TimeSpan.FromHours(1))),
                _ => Task.WhenAll(Task.Run(Command), w.Sleep(TimeSpan.FromHours(1))),
            });
            return "";
        });
        Assert.Contains($"A command at CodeErrorTests.cs:{line} was given from outside", reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("NewGuid")]
    [InlineData("Random")]
    public async Task Random_numbers_taken_in_a_body_would_differ_in_replay(string what)
    {
        var reason = await ReasonAsync($"body-{what}", async w =>
        {
            await w.Step("takes", () => what == "NewGuid" ? w.NewGuid().ToString() : $"{w.Random.Next()}", Retry.None);
            return "";
        });
        Assert.Contains($"{what} was given from outside", reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_turn_that_blocks_is_reported_and_goes_on()
    {
        using var block = new ManualResetEventSlim();
        var lines = new LogLines();
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("before", () => 0);
            block.Wait();
            return "ended";
        });
        using var factory = new Microsoft.Extensions.Logging.LoggerFactory([lines]);
        using var watch = new TurnWatch(engine.Engine, new Microsoft.Extensions.Logging.Logger<TurnWatch>(factory));
        watch.Start();
        await engine.StartAsync("blocks");
        string? problem;
        while ((problem = (await engine.StatusAsync("blocks")).Problem) is null || !lines.Of(typeof(TurnWatch).FullName!).Any())
        {
            await Task.Yield();
        }

        Assert.Contains("blocked a thread for more than 2 s after step 'before' (seq 1, CodeErrorTests.cs:", problem,
            StringComparison.Ordinal);
        Assert.Contains(lines.Of(typeof(TurnWatch).FullName!), line => line.Contains("'blocks'", StringComparison.Ordinal));
        block.Set();
        Assert.Equal("ended", await engine.ResultAsync<string>("blocks"));
    }
}
