using Actors.Grains.Tests.Execution;
using Actors.Partitions;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Actors.Grains.Tests.Partitions;

/// <summary>Who cannot renew its lease while others can is declared dead; nobody is for what happens to all.</summary>
public sealed class ExpiredLeasesTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static readonly TimeSpan Watch = TimeSpan.FromMilliseconds(500);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_silo_that_does_not_renew_its_lease_while_another_does_is_declared_dead()
    {
        await using var engine = await database.ScriptAsync(_ => Task.FromResult(""));
        var cut = await SiloAsync("now() - interval '1 second'");
        var buried = new TaskCompletionSource<(Guid, string)>();
        await using (Sweep(engine, (silo, address) => { buried.TrySetResult((silo, address)); return Task.CompletedTask; }))
        {
            Assert.Equal((cut, "127.0.0.1:1@1"), await buried.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancel));
            Assert.False(engine.Engine.Context.Lease.IsLost);
        }
    }

    [Fact]
    public async Task Neither_a_late_renewal_nor_a_clock_that_jumps_nor_an_outage_for_all_declares_anybody_dead()
    {
        var clock = await TestClock.CreateAsync(database);
        await using var engine = await database.ScriptAsync(_ => Task.FromResult(""));
        var late = await SiloAsync("actors.now() - interval '1 second'");
        var (buried, away) = (0, false);
        engine.Probe.Before = name => name == "sweep" && Volatile.Read(ref away) ? throw new TimeoutException("away") : Task.CompletedTask;
        await using (Sweep(engine, (_, _) => { buried++; return Task.CompletedTask; }))
        {
            for (var i = 0; i < 10; i++)
            {
                await Task.Delay(Watch / 4, Cancel);
                await database.ExecuteAsync($"update actors.silos set alive_until = actors.now() - interval '{10 - i} milliseconds' where id = '{late}'"); // Expired each time, and not the same.
            }

            await database.ExecuteAsync($"update actors.silos set alive_until = actors.now() + interval '1 minute' where id = '{late}'");
            await clock.MoveAsync(TimeSpan.FromHours(1));
            await Task.Delay(Watch / 2, Cancel);
            await database.ExecuteAsync($"update actors.silos set alive_until = actors.now() + interval '100 milliseconds' where id = '{late}'");
            Volatile.Write(ref away, true);
            await Task.Delay(Watch * 3, Cancel);
            Assert.True(engine.Engine.Context.Lease.IsLost); // Its own, too.
            Volatile.Write(ref away, false);
            while (engine.Engine.Context.Lease.IsLost)
            {
                await Task.Delay(10, Cancel);
            }

            await database.ExecuteAsync($"update actors.silos set alive_until = actors.now() + interval '1 minute' where id = '{late}'");
        }

        Assert.Equal(0, buried);
        await clock.MoveAsync(TimeSpan.FromHours(-1));
    }

    private async Task<Guid> SiloAsync(string aliveUntil)
    {
        var silo = Guid.NewGuid();
        await database.ExecuteAsync("delete from actors.silos where name = 'other'");
        await database.ExecuteAsync(
            $"insert into actors.silos (id, started_at, alive_until, name, address) values ('{silo}', actors.now(), {aliveUntil}, 'other', '127.0.0.1:1@1')");
        return silo;
    }

    private static Running Sweep(TestEngine engine, Func<Guid, string, Task> bury)
    {
        var context = engine.Engine.Context;
        return new Running(new Sweeper(
            context.Database, new PartitionSet(), context.Codes, new SweepSettings(TimeSpan.FromMilliseconds(20), Watch, TimeSpan.Zero) { BuryAfter = Watch }, _ => Task.CompletedTask,
            () => 0, () => [], context.Clock.Hear, () => { }, NullLogger<Sweeper>.Instance)
        {
            Lease = context.Lease, Bury = bury,
        });
    }

    private sealed class Running : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _sweeping;

        public Running(Sweeper sweeper) => _sweeping = sweeper.RunAsync(_stop.Token);

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _sweeping;
            _stop.Dispose();
        }
    }
}
