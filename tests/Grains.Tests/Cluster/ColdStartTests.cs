using System.ComponentModel.DataAnnotations;
using System.Net;
using Actors.Cluster;
using Actors.Grains.Tests.Execution;
using Actors.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Orleans.Runtime;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>Who else has this silo's endpoint when it starts.</summary>
public sealed class ColdStartTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static readonly SiloAddress Here = SiloAddress.New(IPAddress.Loopback, 11111, 2);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Where_another_machine_renews_the_lease_of_this_endpoint_the_silo_does_not_start()
    {
        await using var engine = await MemberAsync("other", "elsewhere");
        var start = Start(engine, "other");
        while (!start.IsCompleted)
        {
            await database.ExecuteAsync("update actors.silos set alive_until = alive_until + interval '1 second'");
        }

        var error = await Assert.ThrowsAsync<ValidationException>(() => start);
        Assert.Equal(
            "AdvertisedAddress: another silo is alive at 127.0.0.1:11111, on another machine. Give each an address that the others reach "
                + "it at.", error.Message);
        Assert.Equal(3, await database.ScalarAsync<int>("select status from actors.orleans_membership where deployment_id = 'other'"));
    }

    [Theory]
    [InlineData("killed", "elsewhere")]
    [InlineData("here", null)]
    public async Task One_that_nobody_renews_and_an_earlier_one_of_this_machine_are_retired(string cluster, string? host)
    {
        await using var engine = await MemberAsync(cluster, host ?? Dns.GetHostName());
        await Start(engine, cluster);
        Assert.Equal(6, await database.ScalarAsync<int>($"select status from actors.orleans_membership where deployment_id = '{cluster}'"));
    }

    private static Task Start(TestEngine engine, string cluster) =>
        new ColdStart(engine.Engine.Context.Database, cluster, TimeSpan.FromMilliseconds(100),
            NullLogger<ColdStart>.Instance).RetireDeadMembersAsync(Here, Cancel);

    private async Task<TestEngine> MemberAsync(string cluster, string host)
    {
        var engine = await database.ScriptAsync(_ => Task.FromResult(""));
        await database.ExecuteAsync($"""
            delete from actors.silos;
            insert into actors.silos (id, started_at, alive_until, name, address) values (gen_random_uuid(), now(), now() + interval '10 seconds', 's', '127.0.0.1:11111@1');
            insert into actors.orleans_membership_version (deployment_id) values ('{cluster}');
            insert into actors.orleans_membership (deployment_id, address, port, generation, silo_name, host_name, status, proxy_port, started_at, alive_at)
            values ('{cluster}', '127.0.0.1', 11111, 1, 's', '{host}', 3, 30000, now(), now())
            """);
        return engine;
    }
}
