using System.Collections.Concurrent;
using System.Diagnostics;

namespace Actors.Storage;

/// <summary>
/// Counts the engine's round trips to Postgres, and, for crash tests, kills this process just before or just after the k-th of them
/// (<c>ACTORS_CRASH_AT=before:k</c> or <c>after:k</c>). Every statement of the engine passes here.
/// </summary>
internal sealed class StatementProbe
{
    public const string Variable = "ACTORS_CRASH_AT";

    private static readonly TimeSpan SilentAfter = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<long, (string Name, long Since)> _underWay = new();
    private readonly bool _before;
    private readonly long _at;
    private long _roundTrips;

    public StatementProbe(string? crashAt = null)
    {
        if (crashAt?.Split(':') is [var side, var number])
        {
            (_before, _at) = (side == "before", long.Parse(number, System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    /// <summary>What Postgres has not answered for five seconds, in words; null when there is nothing. The way there may be cut, its
    /// machine gone or frozen.</summary>
    public string? Silence
    {
        get
        {
            var (name, since) = _underWay.Values.DefaultIfEmpty(("", Stopwatch.GetTimestamp())).MinBy(trip => trip.Item2);
            return Stopwatch.GetElapsedTime(since) is var silent && silent > SilentAfter
                ? $"Postgres has not answered '{name}' for {silent.TotalSeconds:0} s: its machine, its disk or the way there may be gone." : null;
        }
    }

    public long RoundTrips => Interlocked.Read(ref _roundTrips);

    /// <summary>Told of each round trip before it is sent; for tests that hold, fail or cut one.</summary>
    public Func<string, Task>? Before { get; set; }

    /// <summary>Told of each round trip after its answer, before the engine knows it.</summary>
    public Func<string, Task>? After { get; set; }

    /// <param name="mayBeLong">It may wait for locks or work for long, so its silence says nothing.</param>
    public async ValueTask<T> AroundAsync<T>(string name, Func<Task<T>> roundTrip, bool mayBeLong = false)
    {
        var number = Interlocked.Increment(ref _roundTrips);
        if (Before is { } before)
        {
            await before(name);
        }

        Crash(number, isBefore: true);
        if (!mayBeLong)
        {
            _underWay[number] = (name, Stopwatch.GetTimestamp());
        }

        T result;
        try
        {
            result = await roundTrip();
        }
        finally
        {
            _underWay.TryRemove(number, out _);
        }

        Crash(number, isBefore: false);
        if (After is { } after)
        {
            await after(name);
        }

        return result;
    }

    private void Crash(long number, bool isBefore)
    {
        if (number == _at && isBefore == _before)
        {
            Process.GetCurrentProcess().Kill();
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
