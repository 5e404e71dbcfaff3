using System.Diagnostics;
using System.Runtime.CompilerServices;
using Actors.Grains.Tests.Cluster;
using Actors.Grains.Tests.Execution;
using Actors.Grains.Tests.Partitions;
using Actors.Outbox;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Actors.Grains.Tests.Hosting;

/// <summary>
/// Times are UTC, also in a host that was moved from Npgsql 5 by its switch and stands in New Zealand. Npgsql asks for the switch once a
/// process: this program runs its tests of times again in another.
/// </summary>
public sealed class LegacyTimesTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private const string Variable = "ACTORS_TESTS_LEGACY_TIMES";

    [ModuleInitializer]
    internal static void Switch() =>
        AppContext.SetSwitch("Npgsql.EnableLegacyTimestampBehavior", Environment.GetEnvironmentVariable(Variable) is not null);

    [Fact]
    public async Task Tests_of_times_pass_in_Auckland_with_Npgsql_s_legacy_time_stamps()
    {
        Type[] tests =
        [
            typeof(LegacyTimesTests), typeof(RetentionTests),
            .. TestTier.IsAll ? new[] { typeof(DeterminismTests), typeof(TimerTests), typeof(OrleansTablesTests),
                typeof(OrleansMembershipTests) } : [],
        ];
        if (Environment.GetEnvironmentVariable(Variable) is not null)
        {
            return; // This is the other process.
        }

        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        (start.Environment[Variable], start.Environment["TZ"]) = ("1", "Pacific/Auckland");
        foreach (var argument in tests.SelectMany(test => new[] { "-class", test.FullName! }).Append("-noColor"))
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, output);
    }

    [Fact]
    public async Task Code_sinks_and_callers_are_given_times_in_UTC()
    {
        var sent = new TaskCompletionSource<OutboxMessage>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var engine = await database.ScriptAsync(
            async workflow =>
            {
                workflow.Publish("topic", "key", 1);
                await workflow.Step($"at {workflow.Now:O}", _ => Task.FromResult(1));
                await workflow.WaitUntil(() => workflow.Heard.Count > 0);
                return $"{workflow.Now:O}";
            },
            builder => builder.Outbox.Add("sink", new HandlerSink((message, _) =>
            {
                sent.TrySetResult(message);
                return Task.CompletedTask;
            }), "topic"));
        await engine.StartAsync("utc");
        await engine.RestAsync("utc");
        await engine.PokeAsync("utc", "go");
        Assert.EndsWith("+00:00", await engine.ResultAsync<string>("utc"), StringComparison.Ordinal);
        Assert.Contains(await database.JournalAsync("utc"), row =>
            row.Contains("StepCompleted", StringComparison.Ordinal) && row.Contains("+00:00", StringComparison.Ordinal));
        Assert.Equal((TimeSpan.Zero, TimeSpan.Zero),
            ((await engine.StatusAsync("utc")).CreatedAt.Offset, (await engine.StatusAsync("utc")).EndedAt!.Value.Offset));
        var relay = new OutboxRelay(
            new OutboxTable(database.DataSource), engine.Builder.Outbox.Made(), engine.Engine.Context.Payloads, new OutboxOptions(), () =>
                Partition.All,
            TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger<OutboxRelay>.Instance);
        await using var running = new RunningRelay(relay);
        Assert.Equal(TimeSpan.Zero, (await sent.Task.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken)).At.Offset);
    }
}
