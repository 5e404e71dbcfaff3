using System.Collections.Concurrent;
using System.Diagnostics;
using Npgsql;

namespace Actors.Storage;

/// <summary>
/// Counts the engine's round trips to Postgres, and knows which are not answered and which fail again and again. For crash tests it kills
/// this process just before or just after the k-th of them (<c>ACTORS_CRASH_AT=before:k</c> or <c>after:k</c>). Every statement of the
/// engine passes here.
/// </summary>
internal sealed class StatementProbe
{
    public const string Variable = "ACTORS_CRASH_AT";

    private const int FailuresBeforeTrouble = 3;
    private static readonly TimeSpan SilentAfter = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan TroubleAfter = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan TroubleUntil = TimeSpan.FromMinutes(1); // Without another try.

    private readonly ConcurrentDictionary<long, (string Name, long Since)> _underWay = new();
    private readonly ConcurrentDictionary<string, (int Times, long Since, long Last, string Reason)> _failing = new();
    private readonly bool _before;
    private readonly long _at;
    private long _roundTrips;
    private volatile bool _hasFailed; // Since all that failed went well again: without it, nobody need look.

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
                ? $"Postgres has not answered '{name}' for {silent.TotalSeconds:0} s: its machine, its disk or the way there may be gone."
                    : null;
        }
    }

    /// <summary>A statement, or what else this silo repeats, that has failed three times in a row, or for ten seconds, in words; null when
    /// there is none. Whoever sends it goes on trying: what it is for stands still.</summary>
    public string? Trouble
    {
        get
        {
            foreach (var (name, failing) in _failing.OrderBy(statement => statement.Value.Since))
            {
                var time = Stopwatch.GetElapsedTime(failing.Since);
                if ((failing.Times >= FailuresBeforeTrouble || time > TroubleAfter)
                    && Stopwatch.GetElapsedTime(failing.Last) < TroubleUntil)
                {
                    return $"'{name}' has failed {failing.Times} time(s) in a row, for {time.TotalSeconds:0} s: {failing.Reason}";
                }
            }

            return null;
        }
    }

    public long RoundTrips => Interlocked.Read(ref _roundTrips);

    /// <summary>Told of each round trip before it is sent; for tests that hold, fail or cut one.</summary>
    public Func<string, Task>? Before { get; set; }

    /// <summary>Told of each round trip after its answer, before the engine knows it.</summary>
    public Func<string, Task>? After { get; set; }

    /// <param name="mayBeLong">It may wait for locks or work for long, so its silence says nothing.</param>
    /// <param name="isUsers">What users wrote runs in it: its failures are theirs.</param>
    public async ValueTask<T> AroundAsync<T>(string name, Func<Task<T>> roundTrip, bool mayBeLong = false, bool isUsers = false)
    {
        var number = Interlocked.Increment(ref _roundTrips);
        T result;
        try
        {
            if (Before is { } before)
            {
                await before(name);
            }

            Crash(number, isBefore: true);
            if (!mayBeLong)
            {
                _underWay[number] = (name, Stopwatch.GetTimestamp());
            }

            result = await roundTrip();
        }
        catch (Exception error) when (!isUsers && IsTrouble(error))
        {
            Failed(name, error.Message);
            throw;
        }
        finally
        {
            _underWay.TryRemove(number, out _);
        }

        Passed(name);
        Crash(number, isBefore: false);
        if (After is { } after)
        {
            await after(name);
        }

        return result;
    }

    /// <summary>Not what a fence refuses, nor a conflict, nor data that no try would bring in.</summary>
    private static bool IsTrouble(Exception error) => error is not OperationCanceledException
        && (error is not PostgresException refusal || (PostgresFaults.MayPass(refusal) && !PostgresFaults.IsConflict(error)
            && refusal.SqlState is not (PostgresFaults.FenceFailed or PostgresFaults.SiloIsDead)));

    /// <summary>It failed, and is to be repeated.</summary>
    public void Failed(string name, string reason)
    {
        _hasFailed = true;
        var now = Stopwatch.GetTimestamp();
        _failing.AddOrUpdate(name, (1, now, now, reason), (_, before) => (before.Times + 1, before.Since, now, reason));
    }

    /// <summary>It went well, as it mostly does.</summary>
    public void Passed(string name)
    {
        if (_hasFailed)
        {
            _failing.TryRemove(name, out _);
            _hasFailed = !_failing.IsEmpty;
        }
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
