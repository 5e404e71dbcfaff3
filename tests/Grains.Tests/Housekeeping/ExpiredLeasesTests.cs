using Actors.Grains.Tests.Execution;
using Actors.Housekeeping;
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
        await database.ExecuteAsync($"delete from actors.silos where id <> '{engine.Silo}'");
        var cut = await SiloAsync("now() - interval '1 second'");
        var buried = new TaskCompletionSource<(Guid, string)>();
        await using (Sweep(engine, (silo, address) => { buried.TrySetResult((silo, address)); return Task.CompletedTask; }))
        {
            Assert.Equal((cut, "127.0.0.1:1@1"), await buried.Task.WaitAsync(TimeSpan.FromSeconds(20), Cancel));
            Assert.False(engine.Engine.Context.Lease.IsLost);
        }
    }

    [Fact]
    public void Neither_a_late_renewal_nor_a_pause_of_who_watches_declares_anybody_dead()
    {
        var (time, silo, until) = (new MovableTime(), Guid.NewGuid(), DateTimeOffset.UnixEpoch);
        var leases = new ExpiredLeases(TimeSpan.FromSeconds(6), TimeSpan.FromSeconds(5), time);
        List<(Guid, string)> Look(double after, DateTimeOffset seen)
        {
            time.Pass(TimeSpan.FromSeconds(after));
            return leases.Dead([(silo, "a", seen)]);
        }

        Assert.Empty(Look(1, until));
        Assert.Empty(Look(4, until));
        Assert.Empty(Look(4, until += TimeSpan.FromSeconds(1))); // It renewed, and has expired again.
        Assert.Empty(Look(4, until));
        Assert.Empty(Look(5.5, until)); // Who watches was away: it begins anew.
        Assert.Empty(Look(4, until));
        Assert.Empty(leases.Dead([])); // Alive in between.
        Assert.Empty(Look(4, until));
        Assert.Empty(Look(4, until));
        Assert.Equal([(silo, "a")], Look(2, until));
        Assert.Equal([(silo, "a")], Look(1, until)); // Until it is buried.
    }

    [Fact]
    public async Task A_silo_that_cannot_renew_its_own_lease_knows_it_and_knows_when_it_can_again()
    {
        await using var engine = await database.ScriptAsync(_ => Task.FromResult(""));
        var away = false;
        engine.Probe.Before = name =>
            name is "sweep" or "renew lease" && Volatile.Read(ref away) ? throw new TimeoutException("away") : Task.CompletedTask;
        await using (Sweep(engine, (_, _) => Task.CompletedTask))
        {
            var lease = engine.Engine.Context.Lease;
            foreach (var lost in new[] { false, true, false })
            {
                Volatile.Write(ref away, lost);
                while (lease.IsLost != lost)
                {
                    await Task.Delay(10, Cancel);
                }
            }
        }
    }

    private async Task<Guid> SiloAsync(string aliveUntil)
    {
        var silo = Guid.NewGuid();
        await database.ExecuteAsync("delete from actors.silos where name = 'other'");
        await database.ExecuteAsync(
            $"insert into actors.silos (id, started_at, alive_until, name, address) values ('{silo}', actors.now() - interval '1 hour', "
                + $"{aliveUntil}, 'other', '127.0.0.1:1@1')");
        return silo;
    }

    private static Running Sweep(TestEngine engine, Func<Guid, string, Task> bury)
    {
        var context = engine.Engine.Context;
        return new Running(new Sweeper(
            context.Database, new PartitionSet(), context.Codes,
            new SweepSettings(TimeSpan.FromMilliseconds(20), Watch, TimeSpan.Zero) { BuryAfter = Watch }, _ => Task.CompletedTask,
            () => 0, () => [], context.Clock.Observe, () => { }, NullLogger<Sweeper>.Instance)
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

    private sealed class MovableTime : TimeProvider
    {
        private long _now = 1;

        public override long GetTimestamp() => _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Pass(TimeSpan time) => _now += time.Ticks;
    }
}
