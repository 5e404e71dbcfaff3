using Actors.Outbox;
using Xunit;

namespace Actors.Grains.Tests.Outbox;

/// <summary>When a destination reads hangs on time that passes, not on the time of day.</summary>
public sealed class PassClockTests
{
    [Fact]
    public void A_clock_that_jumps_back_does_not_hold_up_the_next_pass()
    {
        var time = new Jumping();
        var clock = new PassClock(time);
        Assert.True(clock.InPass());
        clock.PageRead(end: null, TimeSpan.FromMilliseconds(10), lanesFound: 0);
        clock.RetryIn(TimeSpan.FromMilliseconds(30));
        clock.TakeRetries();
        clock.RetryIn(TimeSpan.FromMilliseconds(30));

        time.UtcNow -= TimeSpan.FromMinutes(10);
        time.Passed += TimeSpan.FromMilliseconds(50);
        clock.WantPass();
        Assert.Equal(TimeSpan.FromMilliseconds(1), clock.UntilNext(mayReadPage: true, mayReadRetries: true));
        Assert.True(clock.TakeRetries());
        Assert.True(clock.InPass());
    }

    private sealed class Jumping : TimeProvider
    {
        public DateTimeOffset UtcNow { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public TimeSpan Passed { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => UtcNow;

        public override long GetTimestamp() => Passed.Ticks;
    }
}
