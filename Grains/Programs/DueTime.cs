namespace Actors.Programs;

/// <summary>When something is due, as Postgres can keep it: nothing is refused for being far away, it is due in the year 9999.</summary>
internal static class DueTime
{
    private static readonly DateTimeOffset Latest = DateTimeOffset.MaxValue.AddDays(-1);

    /// <summary>Zero and less: now.</summary>
    public static DateTimeOffset After(DateTimeOffset now, TimeSpan duration) =>
        duration <= TimeSpan.Zero ? now : duration < Latest - now ? Storable(now + duration) : Latest;

    /// <summary>Microseconds are kept: rounded up, so that no timer is early by what is not.</summary>
    public static DateTimeOffset Storable(DateTimeOffset due) =>
        due >= Latest ? Latest : due.Ticks % 10 is 0 ? due : due.AddTicks(10 - (due.Ticks % 10));
}
