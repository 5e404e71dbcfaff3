using Actors.Cluster;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

public class SteadyClockTests
{
    private static readonly DateTimeOffset Noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Goes_with_the_clock_beneath_and_follows_it_ahead()
    {
        var beneath = new MovableClock();
        var clock = new SteadyClock(beneath);
        beneath.Pass(TimeSpan.FromMinutes(1));
        Assert.Equal(Noon.AddMinutes(1), clock.GetUtcNow());
        beneath.Set(TimeSpan.FromMinutes(10));
        Assert.Equal(Noon.AddMinutes(11), clock.GetUtcNow());
    }

    [Fact]
    public void Never_goes_back_and_goes_a_tenth_slower_when_the_clock_beneath_is_set_back()
    {
        var beneath = new MovableClock();
        var clock = new SteadyClock(beneath);
        beneath.Set(TimeSpan.FromMinutes(-10));
        Assert.Equal(Noon, clock.GetUtcNow());
        beneath.Pass(TimeSpan.FromMinutes(20));
        Assert.Equal(Noon.AddMinutes(18), clock.GetUtcNow());
        beneath.Pass(TimeSpan.FromMinutes(80));
        Assert.Equal(Noon.AddMinutes(90), clock.GetUtcNow());
        beneath.Pass(TimeSpan.FromMinutes(5));
        Assert.Equal(Noon.AddMinutes(95), clock.GetUtcNow());
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("system", true)]
    [InlineData("own", false)]
    public void A_silo_has_it_unless_its_host_has_a_clock_of_its_own(string? registered, bool steady)
    {
        var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
        if (registered is not null)
        {
            builder.Services.AddSingleton(registered == "system" ? TimeProvider.System : new MovableClock());
        }

        builder.AddActors("Host=nowhere", _ => { });
        using var host = builder.Build();
        Assert.Equal(steady, host.Services.GetRequiredService<TimeProvider>() is SteadyClock);
    }

    /// <summary>Time of day and monotonic time, each moved by hand.</summary>
    private sealed class MovableClock : TimeProvider
    {
        private TimeSpan _passed;
        private TimeSpan _ahead;

        public override DateTimeOffset GetUtcNow() => Noon + _passed + _ahead;

        public override long GetTimestamp() => _passed.Ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Pass(TimeSpan time) => _passed += time;

        public void Set(TimeSpan ahead) => _ahead += ahead;
    }
}
