using Actors.Grains.Tests.Execution;
using Actors.Postgres;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>A silo with the membership, the ports and the clock that its host gives it.</summary>
public sealed class HostedSiloTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static TimeSpan Limit => TimeSpan.FromSeconds(60);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_silo_that_leaves_in_order_has_said_so_before_Orleans_tells_the_others()
    {
        using var host = await StartAsync(actors => actors.AddWorkflow<Counting>());
        await database.ExecuteAsync("""
            create table left_behind (silos bigint);
            create function leave() returns trigger language plpgsql as $$ begin insert into left_behind select count(*) from actors.silos s where s.left_at is null and s.address like '%:' || new.port || '@%'; return null; end $$;
            create trigger leave after update on actors.orleans_membership for each row when (new.status = 6 and old.status <> 6) execute function leave()
            """);
        await host.StopAsync(Cancel);
        Assert.Equal("0", await database.ScalarAsync<string>("select string_agg(silos::text, ',') from left_behind"));
        await database.ExecuteAsync("drop trigger leave on actors.orleans_membership; drop table left_behind");
    }

    [Fact]
    public async Task A_sink_is_told_the_database_s_time_of_its_attempt_whatever_the_host_s_clock_shows()
    {
        var sent = new TaskCompletionSource<OutboxMessage>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var host = await StartAsync(
            actors =>
            {
                actors.AddWorkflow<Telling>();
                actors.Outbox.Add("sink", new HandlerSink((message, _) =>
                {
                    sent.TrySetResult(message);
                    return Task.CompletedTask;
                }), "told");
            },
            new LateClock());
        await host.Services.GetRequiredService<IWorkflowClient>().Get<ITelling>("tells").StartAsync(0);
        var message = await sent.Task.WaitAsync(Limit, Cancel);
        Assert.InRange(message.AttemptAt!.Value - message.At, TimeSpan.FromMinutes(-1), TimeSpan.FromMinutes(1));
        await host.StopAsync(Cancel);
    }

    private async Task<IHost> StartAsync(Action<ActorsBuilder> configure, TimeProvider? clock = null)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        if (clock is not null)
        {
            builder.Services.AddSingleton(clock);
        }

        builder.AddActors(database.ConnectionString, actors =>
        {
            configure(actors);
            (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = (LoopbackPort.Free(), LoopbackPort.Free());
        });
        var host = builder.Build();
        await host.StartAsync(Cancel);
        return host;
    }
}

public interface ITelling : IWorkflow<int, int>;

/// <summary>One message.</summary>
public sealed class Telling : Workflow<int, int>, ITelling
{
    protected override Task<int> RunAsync(int input)
    {
        Publish("told", "", input);
        return Task.FromResult(input);
    }
}

/// <summary>Three hours behind.</summary>
public sealed class LateClock : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddHours(-3);
}
