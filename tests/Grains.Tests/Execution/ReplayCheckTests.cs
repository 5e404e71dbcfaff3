using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>Code that would not do the same again is found when it has run once, and not at its first replay.</summary>
public sealed class ReplayCheckTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static readonly Random Unseeded = new();
    private static int _calls;

    private static readonly Dictionary<string, (Func<Scripted, Task<string>> Code, string Says)> Wrong = new()
    {
        ["a task of its own in WhenAll"] = (async w =>
        {
            await Task.WhenAll(w.Step("a", async _ => { await Task.Delay(100); return 0; }), Task.Run(() => Task.Delay(20)));
            return "ended";
        }, "its code waits after step 'a'"),
        ["a branch by a static field"] = (async w =>
        {
            if (Interlocked.Increment(ref _calls) == 1)
            {
                await w.Step("once", () => 0);
            }

            return "ended";
        }, "which the code has not asked for"),
        ["another name"] = (async w => await w.Step($"step {Unseeded.NextInt64()}", () => "ended"), "its code asks for step"),
        ["another result"] = (w => Task.FromResult($"{Unseeded.NextInt64()}"), "it returned another result than in a replay"),
        ["another error"] = (
            w => throw new InvalidOperationException($"{Unseeded.NextInt64()}"), "it failed with another error than in a replay"),
    };

    public static TheoryData<string> Kinds => [.. Wrong.Keys];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Who_asks_for_the_run_is_told_the_difference_and_what_is_stored_stays(string kind)
    {
        _calls = 0;
        var (code, says) = Wrong[kind];
        await using var engine = await database.ScriptAsync(code);
        await engine.StartAsync(kind);
        foreach (var ask in new Func<Task>[] { () => engine.ResultAsync<string>(kind), () => engine.ResultAsync<string>(kind), () =>
            engine.StatusAsync(kind), () => engine.AskAsync(kind) })
        {
            var error = await Assert.ThrowsAsync<ReplayDifferenceException>(ask);
            Assert.Contains($"Workflow '{kind}' would not do the same again", error.Message, StringComparison.Ordinal);
            Assert.Contains(says, error.Message, StringComparison.Ordinal);
        }

        Assert.InRange(await database.ScalarAsync<int>($"select status from actors.runs where id = '{kind}'"), 1, 2);
    }

    [Fact]
    public async Task At_rest_it_is_found_too_and_elsewhere_it_is_a_warning_and_in_the_status()
    {
        var lines = new LogLines();
        _calls = 0;
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await w.WaitUntil(() => w.Heard.Count > 0, TimeSpan.FromDays(Interlocked.Increment(ref _calls) == 1 ? 1 : 2));
                if (_calls > 1)
                {
                    _ = w.Sleep(TimeSpan.FromDays(1));
                }

                return "";
            },
            builder => builder.Execution.ReplayCheck = ReplayCheck.Warn,
            log => log.AddProvider(lines));
        await engine.StartAsync("rests");
        await engine.RestAsync("rests");
        Assert.Null((await engine.StatusAsync("rests")).Problem); // The wait is the same one.

        await using var other = await database.ScriptAsync(
            async w =>
            {
                await (Interlocked.Increment(ref _calls) % 2 == 1 ? w.Sleep(TimeSpan.FromDays(1))
                    : w.WaitUntil(() => false, TimeSpan.FromDays(1)));
                return "";
            },
            builder => builder.Execution.ReplayCheck = ReplayCheck.Warn,
            log => log.AddProvider(lines));
        await other.StartAsync("rests otherwise");
        await other.RestAsync("rests otherwise");
        Assert.Contains("would not do the same again", (await other.StatusAsync("rests otherwise")).Problem, StringComparison.Ordinal);
        Assert.Contains(lines.Of("Actors.Workflow.Scripted"), line =>
            line.Contains("would not do the same again", StringComparison.Ordinal));
    }

    [Fact]
    public async Task No_body_runs_again_nothing_is_logged_twice_and_services_are_of_a_scope_of_their_own()
    {
        var (lines, bodies) = (new LogLines(), 0);
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                w.Logger.Log(LogLevel.Information, default, "said", null, (state, _) => state);
                await w.Step("steps", () => Interlocked.Increment(ref bodies));
                w.Publish("topic", "", 1);
                await w.WaitUntil(() => w.Heard.Count > 0);
                await w.Sleep(TimeSpan.FromMilliseconds(1));
                return $"{w.NewGuid()} {w.Random.Next()} {w.Now:O}";
            },
            logging: log => log.AddProvider(lines));
        await engine.StartAsync("right");
        await engine.PokeAsync("right", "now");
        Assert.NotEqual("", await engine.ResultAsync<string>("right"));
        Assert.Equal((1, 1), (bodies, lines.Of("Actors.Workflow.Scripted").Count(line => line == "said")));
    }

    /// <summary>The last entry may hold what the code was never told.</summary>
    [Fact]
    public async Task What_came_with_the_end_and_was_not_delivered_makes_no_difference()
    {
        for (var i = 0; i < 5; i++)
        {
            await using var engine = await database.ScriptAsync(async w =>
            {
                var log = new List<string>();
                async Task BranchAsync(string name) => log.Add(await w.Step(name, () => name));
                await Task.WhenAny(BranchAsync("a"), BranchAsync("b"), BranchAsync("c"));
                return string.Join(",", log);
            });
            Assert.NotEqual("", await engine.RunAsync($"branches {i}"));
        }
    }

    [Theory]
    [InlineData("Development", ReplayCheck.Throw)]
    [InlineData("Production", ReplayCheck.Off)]
    public void It_throws_in_development_and_is_off_elsewhere(string environment, ReplayCheck mode)
    {
        var services = new ServiceCollection().AddLogging().AddSingleton<IHostEnvironment>(
            new HostingEnvironment(environment)).BuildServiceProvider();
        var settings = new ActorsBuilder(new ServiceCollection());
        var engine = Actors.Hosting.EngineFactory.Create(
            "Host=nowhere", settings, services, new Actors.Storage.StatementProbe(), Guid.NewGuid());
        Assert.Equal(mode, engine.Context.Findings.Mode);
    }

    private sealed class HostingEnvironment(string name) : IHostEnvironment
    {
        public string EnvironmentName { get; set; } = name;

        public string ApplicationName { get; set; } = "";

        public string ContentRootPath { get; set; } = "";

        public Microsoft.Extensions.FileProviders.IFileProvider ContentRootFileProvider { get; set; } = null!;
    }
}
