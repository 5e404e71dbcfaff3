using System.Diagnostics;
using Actors.Housekeeping;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>The ranges of partitions are spread evenly over the silos that live, each in one of them.</summary>
public sealed class PartitionRangeTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Ranges_are_spread_anew_when_silos_join_and_when_one_dies()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var cluster = await InProcessCluster.StartAsync(
            database.ConnectionString, silos: 1, actors => actors.AddWorkflow<RelayWakeTests.Telling>());
        await SpreadAsync("one silo has all");
        await cluster.AddSilosAsync(2);
        await SpreadAsync("two more have joined");
        await cluster.KillAsync(2);
        await SpreadAsync("one was killed");
        await using var count = database.DataSource.CreateCommand("select count(*) from actors.orleans_reminders");
        Assert.Equal((long)Partition.RangeCount, await count.ExecuteScalarAsync(TestContext.Current.CancellationToken));

        async Task SpreadAsync(string when)
        {
            var watch = Stopwatch.StartNew();
            while (!IsEven())
            {
                Assert.True(watch.Elapsed < TimeSpan.FromSeconds(90), $"{when}: {string.Join(", ", Counts())} partitions");
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }

            output.WriteLine($"{when}: {string.Join(", ", Counts())} partitions after {watch.ElapsedMilliseconds} ms");
        }

        bool IsEven()
        {
            var held = Held();
            return held.SelectMany(partitions => partitions).Order().SequenceEqual(Partition.All)
                && held.Max(partitions => partitions.Length) - held.Min(partitions => partitions.Length) <= Partition.Count / Partition.RangeCount;
        }

        IEnumerable<int> Counts() => Held().Select(partitions => partitions.Length);
        List<short[]> Held() =>
            [.. Enumerable.Range(0, cluster.SiloCount).Select(silo => cluster.Silo(silo).GetRequiredService<PartitionSet>().Partitions)];
    }
}
