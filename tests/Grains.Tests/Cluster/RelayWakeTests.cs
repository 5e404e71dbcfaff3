using System.Collections.Concurrent;
using Actors.Housekeeping;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>A message whose lane is another silo's is delivered at once, too: nobody waits for a poll.</summary>
public sealed class RelayWakeTests
{
    [Fact]
    public async Task A_message_is_delivered_at_once_by_whichever_silo_has_its_lane()
    {
        var delivered = new ConcurrentDictionary<string, bool>();
        await using var database = await TestDatabase.CreateAsync();
        await using var cluster = await InProcessCluster.StartAsync(database.ConnectionString, silos: 2, actors =>
        {
            actors.AddWorkflow<Telling>();
            actors.OutboxOptions.PollInterval = TimeSpan.FromMinutes(5);
            actors.Outbox.Add("here", new HandlerSink((message, _) =>
            {
                delivered[message.Key] = true;
                return Task.CompletedTask;
            }), "told");
        });
        var sets = Enumerable.Range(0, 2).Select(silo => cluster.Silo(silo).GetRequiredService<PartitionSet>()).ToList();
        await UntilAsync(() => sets.TrueForAll(set => set.Partitions.Length > 0 && set.Partitions.Length < Actors.Storage.Partition.Count));

        // One by one: each finds relays that rest.
        var workflows = cluster.Silo(0).GetRequiredService<IWorkflowClient>();
        for (var i = 0; i < 20; i++)
        {
            var key = $"{i}";
            var telling = workflows.Get<ITelling>(key);
            await telling.StartAsync(key, cancellation: TestContext.Current.CancellationToken);
            await telling.ResultAsync(TestContext.Current.CancellationToken);
            await UntilAsync(() => delivered.ContainsKey(key));
        }
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!holds())
        {
            await Task.Delay(5, limit.Token);
        }
    }

    public interface ITelling : IWorkflow<string, string>;

    public sealed class Telling : Workflow<string, string>, ITelling
    {
        protected override Task<string> RunAsync(string input)
        {
            Publish("told", input, input);
            return Task.FromResult(input);
        }
    }
}
