using System.Net;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Orleans;
using Orleans.Configuration;
using Orleans.Messaging;
using Orleans.Runtime;
using Orleans.Runtime.MembershipService;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>Orleans' membership protocol over the tables of migration 0002, and the host's own statements on them.</summary>
[OnlyInAll]
public sealed class OrleansMembershipTests : IAsyncLifetime
{
    private readonly FreshDatabase _database = new();
    private NpgsqlDataSource _orleans = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        await Migrator.MigrateAsync(_database.DataSource, Cancellation);
        _orleans = OrleansSilo.DataSource(_database.ConnectionString);
    }

    public async ValueTask DisposeAsync()
    {
        await _orleans.DisposeAsync();
        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Silos_see_each_other_and_what_stops_or_falls_silent_becomes_dead()
    {
        await using var first = await OrleansSilo.StartAsync(_orleans, "pair", Cancellation);
        var second = await OrleansSilo.StartAsync(_orleans, "pair", Cancellation);
        await first.SeesAsync(second.Address, SiloStatus.Active, Cancellation);
        await second.SeesAsync(first.Address, SiloStatus.Active, Cancellation);

        // A member that nobody answers for: the two probe it, vote, and write it down as dead.
        var silent = Entry(1, SiloStatus.Active);
        var table = first.Services.GetRequiredService<IMembershipTable>();
        Assert.True(await InsertAsync(table, silent));
        await second.SeesAsync(silent.SiloAddress, SiloStatus.Dead, Cancellation);
        Assert.NotEmpty((await table.ReadRowAsync(silent.SiloAddress, Cancellation)).Members[0].Item1.SuspectTimes ?? []);

        var stopped = second.Address;
        await second.DisposeAsync();
        await first.SeesAsync(stopped, SiloStatus.Dead, Cancellation);
        Assert.Equal(2, await _database.ScalarAsync<long>("select count(*) from actors.orleans_membership where status = 6"));
    }

    [Fact]
    public async Task A_member_is_written_only_with_the_current_version_and_raises_it()
    {
        var table = await TableAsync();
        var version = (await table.ReadAllAsync(Cancellation)).Version;
        var entry = Entry(1, SiloStatus.Joining);

        Assert.True(await table.InsertRowAsync(entry, version.Next(), Cancellation));
        var inserted = await table.ReadAllAsync(Cancellation);
        Assert.Equal(version.Version + 1, inserted.Version.Version);
        Assert.False(await table.InsertRowAsync(Entry(2, SiloStatus.Joining), version.Next(), Cancellation));
        Assert.False(await table.InsertRowAsync(entry, inserted.Version.Next(), Cancellation));
        entry.Status = SiloStatus.Active;
        Assert.False(await UpdateAsync(table, entry, version));
        Assert.False(await UpdateAsync(table, Entry(3, SiloStatus.Active), inserted.Version));
        Assert.Equal(inserted.Version.Version, (await table.ReadAllAsync(Cancellation)).Version.Version);

        entry.AddSuspector(Entry(9, SiloStatus.Active).SiloAddress, new DateTime(2030, 1, 2, 3, 4, 5, DateTimeKind.Utc));
        Assert.True(await UpdateAsync(table, entry, inserted.Version));
        entry.IAmAliveTime = entry.IAmAliveTime.AddSeconds(5);
        await table.UpdateIAmAliveAsync(entry, Cancellation);
        var row = await table.ReadRowAsync(entry.SiloAddress, Cancellation);
        var read = Assert.Single(row.Members).Item1;
        Assert.Equal(version.Version + 2, row.Version.Version);
        Assert.Equal(
            (entry.SiloAddress, entry.SiloName, entry.HostName, entry.Status, entry.ProxyPort, entry.StartTime, entry.IAmAliveTime),
            (read.SiloAddress, read.SiloName, read.HostName, read.Status, read.ProxyPort, read.StartTime, read.IAmAliveTime));
        Assert.Equal(entry.SuspectTimes, read.SuspectTimes);
        Assert.Empty((await table.ReadRowAsync(Entry(3, SiloStatus.Active).SiloAddress, Cancellation)).Members);
    }

    [Fact]
    public async Task Of_eight_inserts_with_one_version_one_wins()
    {
        var table = await TableAsync();
        var version = (await table.ReadAllAsync(Cancellation)).Version.Next();
        var won = await Task.WhenAll(
            Enumerable.Range(1, 8).Select(i => table.InsertRowAsync(Entry(i, SiloStatus.Joining), version, Cancellation)));

        Assert.Single(won, true);
        var all = await table.ReadAllAsync(Cancellation);
        Assert.Equal((1, version.Version), (all.Members.Count, all.Version.Version));
    }

    [Fact]
    public async Task Gateways_are_the_active_silos_that_have_one()
    {
        var table = await TableAsync();
        var without = Entry(3, SiloStatus.Active);
        without.ProxyPort = 0;
        MembershipEntry[] entries = [Entry(1, SiloStatus.Active), Entry(2, SiloStatus.Dead), without];
        foreach (var entry in entries) Assert.True(await InsertAsync(table, entry));

        var provider = ActivatorUtilities.CreateInstance<Orleans.Runtime.Membership.AdoNetGatewayListProvider>(Services(),
            Microsoft.Extensions.Options.Options.Create(new AdoNetClusteringClientOptions { Invariant = "Npgsql", DataSource = _orleans }));
        await provider.InitializeGatewayListProvider();
        var gateway = Assert.Single(await provider.GetGateways());
        Assert.Equal(SiloAddress.New(IPAddress.Parse("10.0.0.1"), 30001, 0), gateway.ToGatewayAddress());
    }

    [Theory]
    [InlineData("CleanupDefunctSiloEntriesKey")]
    [InlineData("CleanupDefunctSiloEntryKey")]
    public async Task Defunct_members_are_cleaned_up_and_a_deleted_cluster_begins_anew(string statement)
    {
        // The provider uses the second where it is there, so the first is tried without it.
        await _database.ExecuteAsync(
            $"delete from actors.orleansquery where querykey = 'CleanupDefunctSiloEntryKey' and '{statement}' <> querykey");
        var table = await TableAsync();
        var (old, young, active) = (Entry(1, SiloStatus.Dead), Entry(2, SiloStatus.Dead), Entry(3, SiloStatus.Active));
        var limit = old.IAmAliveTime.AddHours(1);
        young.IAmAliveTime = limit.AddSeconds(1);
        foreach (var entry in new[] { old, young, active }) Assert.True(await InsertAsync(table, entry));

        await table.CleanupDefunctSiloEntriesAsync(limit, Cancellation);
        var left = (await table.ReadAllAsync(Cancellation)).Members.Select(member => member.Item1.SiloAddress).Order();
        Assert.Equal([young.SiloAddress, active.SiloAddress], left);

        await table.DeleteMembershipTableEntriesAsync("alone", Cancellation);
        Assert.Equal(0, await _database.ScalarAsync<long>("select count(*) from actors.orleans_membership_version"));
        await table.InitializeMembershipTableAsync(true, Cancellation);
        Assert.Equal(0, (await table.ReadAllAsync(Cancellation)).Version.Version);
    }

    [Fact]
    public async Task A_retired_silo_is_dead_and_updates_decided_before_it_fail()
    {
        var table = await TableAsync();
        var entry = Entry(1, SiloStatus.Active);
        Assert.True(await InsertAsync(table, entry));
        Assert.True(await InsertAsync(table, Entry(2, SiloStatus.Active)));
        var before = (await table.ReadAllAsync(Cancellation)).Version;

        Assert.False(await RetireAsync("alone", 7));
        Assert.False(await RetireAsync("elsewhere", 1));
        Assert.Equal(before.Version, (await table.ReadAllAsync(Cancellation)).Version.Version);
        Assert.True(await RetireAsync("alone", 1));
        Assert.False(await RetireAsync("alone", 1));

        Assert.Equal(before.Version + 1, (await table.ReadAllAsync(Cancellation)).Version.Version);
        Assert.False(await UpdateAsync(table, entry, before));
        await using var read = _database.DataSource.CreateCommand(SqlText.Get("read_members"));
        read.Parameters.Add(new NpgsqlParameter { Value = "alone" });
        await using var reader = await read.ExecuteReaderAsync(Cancellation);
        var members = new List<(string, int, int, string, int, DateTime)>();
        while (await reader.ReadAsync(Cancellation))
            members.Add((reader.GetString(0), reader.GetInt32(1), reader.GetInt32(2),
                reader.GetString(3), reader.GetInt32(4), reader.GetFieldValue<DateTimeOffset>(5).UtcDateTime));
        var alive = entry.IAmAliveTime;
        Assert.Equal([("10.0.0.1", 11111, 1, "silo-1", 6, alive), ("10.0.0.2", 11111, 2, "silo-2", 3, alive)], members);
    }

    [Fact]
    public async Task Of_many_concurrent_writers_each_success_is_one_version()
    {
        var table = await TableAsync();
        foreach (var i in Enumerable.Range(1, 4)) Assert.True(await InsertAsync(table, Entry(i, SiloStatus.Joining)));
        var before = (await table.ReadAllAsync(Cancellation)).Version.Version;
        var successes = await Task.WhenAll(Enumerable.Range(1, 4).SelectMany(i => new[] { UpdateManyAsync(i), RetireManyAsync(i) }));

        Assert.Equal(before + successes.Sum(), (await table.ReadAllAsync(Cancellation)).Version.Version);

        async Task<int> UpdateManyAsync(int i)
        {
            var won = 0;
            for (var round = 0; round < 25; round++)
                won += await UpdateAsync(table, Entry(i, SiloStatus.Active), (await table.ReadAllAsync(Cancellation)).Version) ? 1 : 0;
            return won;
        }

        async Task<int> RetireManyAsync(int i)
        {
            var won = 0;
            for (var round = 0; round < 25; round++) won += await RetireAsync("alone", i) ? 1 : 0;
            return won;
        }
    }

    private async Task<bool> RetireAsync(string deployment, int i)
    {
        await using var retire = _database.DataSource.CreateCommand(SqlText.Get("retire_silo"));
        object[] values = [deployment, $"10.0.0.{i}", 11111, i];
        foreach (var value in values) retire.Parameters.Add(new NpgsqlParameter { Value = value });
        return (bool)(await retire.ExecuteScalarAsync(Cancellation))!;
    }

    private static ServiceProvider Services() => new ServiceCollection().AddLogging()
        .Configure<ClusterOptions>(options => (options.ClusterId, options.ServiceId) = ("alone", OrleansSilo.Service))
        .BuildServiceProvider();

    private async Task<IMembershipTable> TableAsync()
    {
        var table = ActivatorUtilities.CreateInstance<AdoNetClusteringTable>(Services(),
            Microsoft.Extensions.Options.Options.Create(new AdoNetClusteringSiloOptions { Invariant = "Npgsql", DataSource = _orleans }));
        await table.InitializeMembershipTableAsync(true, Cancellation);
        return table;
    }

    private static async Task<bool> InsertAsync(IMembershipTable table, MembershipEntry entry)
    {
        for (var attempt = 0; attempt < 20; attempt++)
            if (await table.InsertRowAsync(entry, (await table.ReadAllAsync(Cancellation)).Version.Next(), Cancellation)) return true;
        return false;
    }

    private static Task<bool> UpdateAsync(IMembershipTable table, MembershipEntry entry, TableVersion read) =>
        table.UpdateRowAsync(entry, read.VersionEtag, read.Next(), Cancellation);

    private static MembershipEntry Entry(int i, SiloStatus status) => new()
    {
        SiloAddress = SiloAddress.New(IPAddress.Parse($"10.0.0.{i}"), 11111, i),
        SiloName = $"silo-{i}",
        HostName = $"host-{i}",
        Status = status,
        ProxyPort = 30000 + i,
        StartTime = new DateTime(2030, 1, 1, 0, 0, 0, DateTimeKind.Utc),
        IAmAliveTime = new DateTime(2030, 1, 1, 0, 0, 1, DateTimeKind.Utc),
    };
}
