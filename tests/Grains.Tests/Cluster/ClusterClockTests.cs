using Actors.Cluster;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

public class ClusterClockTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Shows_the_machines_time_until_the_database_has_answered_and_the_databases_from_then_on()
    {
        var machine = new MovableClock();
        var database = DateTimeOffset.MinValue;
        var clock = new ClusterClock(machine) { Database = () => database };
        Assert.Equal(Noon, clock.GetUtcNow());
        database = Noon.AddMinutes(-10);
        Assert.Equal(database, clock.GetUtcNow());
        machine.Set(TimeSpan.FromMinutes(30));
        Assert.Equal(database, clock.GetUtcNow());
        database = Noon.AddMinutes(5);
        Assert.Equal(database, clock.GetUtcNow());
    }

    [Fact]
    public void Never_goes_back_and_goes_a_tenth_slower_when_the_databases_clock_is_set_back()
    {
        var machine = new MovableClock();
        var back = TimeSpan.Zero;
        var clock = new ClusterClock(machine) { Database = () => machine.GetUtcNow() + back };
        Assert.Equal(Noon, clock.GetUtcNow());
        back = TimeSpan.FromMinutes(-10);
        Assert.Equal(Noon, clock.GetUtcNow());
        machine.Pass(TimeSpan.FromMinutes(20));
        Assert.Equal(Noon.AddMinutes(18), clock.GetUtcNow());
        machine.Pass(TimeSpan.FromMinutes(80));
        Assert.Equal(Noon.AddMinutes(90), clock.GetUtcNow());
        machine.Pass(TimeSpan.FromMinutes(5));
        Assert.Equal(Noon.AddMinutes(95), clock.GetUtcNow());
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("system", true)]
    [InlineData("own", false)]
    public void A_silo_has_it_unless_its_host_has_a_clock_of_its_own(string? registered, bool clusters)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
        if (registered is not null)
        {
            builder.Services.AddSingleton(registered == "system" ? TimeProvider.System : new MovableClock());
        }

        builder.AddActors("Host=nowhere", _ => { });
        using var host = builder.Build();
        Assert.Equal(clusters, host.Services.GetRequiredService<TimeProvider>() is ClusterClock);
    }

    /// <summary>Time of day and monotonic time, each moved by hand.</summary>
    private sealed class MovableClock : TimeProvider
    {
        private TimeSpan _passed = TimeSpan.FromSeconds(1);
        private TimeSpan _ahead = TimeSpan.FromSeconds(-1);

        public override DateTimeOffset GetUtcNow() => Noon + _passed + _ahead;

        public override long GetTimestamp() => _passed.Ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Pass(TimeSpan time) => _passed += time;

        public void Set(TimeSpan ahead) => _ahead += ahead;
    }
}
