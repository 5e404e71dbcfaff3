using System.Collections.Immutable;
using System.Threading.Channels;
using Actors.Cluster;
using Actors.Grains.Tests.Calling;
using Actors.Grains.Tests.Execution;
using Actors.Housekeeping;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Orleans.Runtime;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>Whoever dies is declared dead in the database too, whatever stands in the way for a while.</summary>
public sealed class MembershipWatchTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_silo_that_dies_while_the_table_of_silos_is_locked_is_buried_when_it_is_free_and_so_is_the_next()
    {
        await using var engine = await database.ScriptAsync(_ => Task.FromResult(""));
        string[] addresses = ["127.0.0.1:1@1", "127.0.0.1:2@2"];
        foreach (var address in addresses)
        {
            await database.ExecuteAsync(
                $"insert into actors.silos (id, started_at, alive_until, name, address) values (gen_random_uuid(), now(), now() + interval "
                + $"'1 hour', 's', '{address}')");
        }

        var (members, lines) = (new Members(), new LogLines());
        using var logging = new LoggerFactory([lines]);
        var connections = engine.Engine.Context.Database;
        var sweeper = new Sweeper(
            connections, new PartitionSet(), engine.Engine.Context.Codes,
            new SweepSettings(TimeSpan.FromHours(1), TimeSpan.FromHours(1), TimeSpan.Zero), _ => Task.CompletedTask,
            () => 0, () => [], _ => { }, () => { }, NullLogger<Sweeper>.Instance);
        var watch = new MembershipWatch(
            members, UnreachableTests.Fake<ILocalSiloDetails>(_ => SiloAddress.FromParsableString("127.0.0.1:9@9")),
            UnreachableTests.Fake<IGrainFactory>(_ => null), connections, sweeper, logging.CreateLogger<MembershipWatch>());
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var watching = watch.RunAsync(stop.Token);

        await using var stranger = await database.DataSource.OpenConnectionAsync(Cancel);
        await using (var locks = await stranger.BeginTransactionAsync(Cancel))
        {
            await using var command = stranger.CreateCommand();
            command.CommandText = "lock table actors.silos";
            await command.ExecuteNonQueryAsync(Cancel);
            members.Die(addresses[0]);
            while (!lines.Of(typeof(MembershipWatch).FullName!).Any(
                line => line.Contains("cannot be declared dead now", StringComparison.Ordinal)))
            {
                await Task.Delay(20, Cancel);
            }
        }

        await UntilDeadAsync(1);
        members.Die(addresses[1]);
        await UntilDeadAsync(2);
        await stop.CancelAsync();
        await watching;
    }

    private async Task UntilDeadAsync(int count)
    {
        while (await database.ScalarAsync<int>("select count(*) from actors.silos where dead_at is not null") < count)
        {
            await Task.Delay(20, Cancel);
        }
    }

    private sealed class Members : IClusterMembershipService
    {
        private readonly Channel<ClusterMembershipSnapshot> _updates = Channel.CreateUnbounded<ClusterMembershipSnapshot>();
        private ImmutableDictionary<SiloAddress, ClusterMember> _dead = ImmutableDictionary<SiloAddress, ClusterMember>.Empty;

        public ClusterMembershipSnapshot CurrentSnapshot => new(_dead, new MembershipVersion(_dead.Count));

        public IAsyncEnumerable<ClusterMembershipSnapshot> MembershipUpdates => _updates.Reader.ReadAllAsync(Cancel);

        public void Die(string address)
        {
            var silo = SiloAddress.FromParsableString(address);
            _dead = _dead.Add(silo, new ClusterMember(silo, SiloStatus.Dead, "s"));
            _updates.Writer.TryWrite(CurrentSnapshot);
        }

        public ValueTask Refresh(MembershipVersion minimumVersion = default, CancellationToken cancellationToken = default) => default;

        public Task<bool> TryKill(SiloAddress siloAddress) => Task.FromResult(false);
    }
}
