using System.Diagnostics;
using System.Collections.Concurrent;
using Actors.Storage;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>One thread, and work that the test itself ends.</summary>
public sealed class OwnThreadTests : IDisposable
{
    private static readonly AsyncLocal<string?> Left = new();

    private readonly BlockingCollection<Thread> _ran = [];
    private OwnThread _own = new("test", TimeSpan.FromHours(1));

    private static TimeSpan Limit => TimeSpan.FromSeconds(20);

    [Fact]
    public void What_work_adds_goes_when_it_is_over_on_the_thread_in_its_order()
    {
        var order = new ConcurrentQueue<int>();
        BringUntilTaken(() =>
        {
            Add(() =>
            {
                order.Enqueue(2);
                Add(() => order.Enqueue(4));
            });
            Add(() => order.Enqueue(3));
            order.Enqueue(1);
        });
        var threads = new[] { Next(), Next(), Next(), Next() };
        Assert.Equal("test", threads.Distinct().Single().Name);
        BringUntilTaken(() => { }); // The last is over.
        Assert.Equal([1, 2, 3, 4], order);
    }

    [Fact]
    public void What_is_next_goes_before_what_waits()
    {
        var order = new ConcurrentQueue<int>();
        BringUntilTaken(() =>
        {
            Add(() => order.Enqueue(3));
            OwnThread.GoNext(new Work(this, () => order.Enqueue(1)));
            OwnThread.GoNext(new Work(this, () => order.Enqueue(2)));
        });
        Assert.Equal([true, true, true, true], new[] { IsOnIt(), IsOnIt(), IsOnIt(), IsOnIt() });
        BringUntilTaken(() => { });
        Assert.Equal([1, 2, 3], order);
    }

    [Fact]
    public void A_thread_at_work_takes_nothing_from_others()
    {
        using var end = new ManualResetEventSlim();
        BringUntilTaken(() => end.Wait(Limit));
        Assert.False(TryRun(() => { }));
        end.Set();
        BringUntilTaken(() => { });
    }

    [Fact]
    public void What_waits_for_work_that_blocks_goes_elsewhere()
    {
        using var end = new CountdownEvent(2);
        LookOften();
        BringUntilTaken(() =>
        {
            OwnThread.GoNext(new Work(this, () => end.Signal()));
            Add(() => end.Signal());
            Assert.True(end.Wait(Limit)); // By what waits, which is therefore on another thread.
        });
        Assert.Equal([true, false, false], new[] { IsOnIt(), IsOnIt(), IsOnIt() });
        BringUntilTaken(() => { });
        Assert.True(IsOnIt());
    }

    [Fact]
    public void Another_thread_takes_the_place_of_one_that_work_holds_and_it_ends_with_that_work()
    {
        using var end = new ManualResetEventSlim();
        LookOften();
        BringUntilTaken(() => OwnThread.GoNext(new Work(this, () =>
        {
            end.Wait(Limit);
            Assert.False(_own.IsHere);
            OwnThread.GoNext(new Work(this, () => { }));
        })));
        Next();
        var held = Next();
        BringUntilTaken(() => { });
        var other = Next();
        Assert.Equal(("test", false), (other.Name, other == held));
        end.Set();
        Assert.True(held.Join(Limit));
        Assert.False(IsOnIt()); // What it brought in the end goes by the pool.
        BringUntilTaken(() => { });
        Assert.Equal(other, Next());
    }

    /// <summary>A run is work again and again.</summary>
    [Fact]
    public void Work_that_holds_a_thread_may_be_at_work_on_the_other()
    {
        using var first = new ManualResetEventSlim();
        using var second = new ManualResetEventSlim();
        var times = 0;
        var again = new Work(this, () => (Interlocked.Increment(ref times) == 1 ? first : second).Wait(Limit));
        LookOften();
        BringUntilTaken(() => OwnThread.GoNext(again));
        Next();
        var held = Next();
        BringUntilTaken(() => OwnThread.GoNext(again));
        Next();
        Assert.NotEqual(held, Next());
        first.Set();
        Assert.True(held.Join(Limit));
        second.Set();
        Assert.True(SpinWait.SpinUntil(
            () =>
            {
                using var over = new ManualResetEventSlim();
                var isHere = false;
                var taken = TryRun(() =>
                {
                    isHere = _own.IsHere;
                    over.Set();
                });
                return taken && over.Wait(Limit) && isHere; // Where the processor is wanted it may be given away before it begins.
            },
            Limit));
    }

    [Fact]
    public void A_round_trip_keeps_its_thread_however_long_it_takes()
    {
        using var end = new ManualResetEventSlim();
        var keeps = new BlockingCollection<bool>();
        LookOften();
        BringUntilTaken(() => OwnThread.GoNext(new RoundTrip(() =>
        {
            Add(end.Set);
            end.Wait(Limit); // Set by what waits, which is given away when a second look finds this still here.
            keeps.Add(_own.IsHere);
        })));
        Assert.True(keeps.TryTake(out var kept, Limit) && kept);
    }

    [Fact]
    public void What_waits_is_given_away_at_once_by_work_that_says_so()
    {
        using var end = new ManualResetEventSlim();
        BringUntilTaken(() =>
        {
            Add(end.Set);
            _own.HandOver();
            Assert.True(end.Wait(Limit));
        });
        Assert.Equal([true, false], new[] { IsOnIt(), IsOnIt() });
        BringUntilTaken(() => { });
        Assert.True(IsOnIt());
    }

    [Fact]
    public void A_thread_that_gave_away_what_waited_takes_nothing_for_a_while()
    {
        var taken = true;
        for (var began = 0L; began == 0 || Stopwatch.GetElapsedTime(began) > TimeSpan.FromMilliseconds(10);) // Else the while may be over.
        {
            began = Stopwatch.GetTimestamp();
            _own.HandOver();
            taken = _own.TryRun(new Work(this, () => { }));
        }

        Assert.False(taken);
    }

    [Fact]
    public void Nothing_that_work_leaves_in_the_context_reaches_the_next()
    {
        var found = new BlockingCollection<string?>();
        BringUntilTaken(() =>
        {
            Left.Value = "left";
            Add(() => found.Add(Left.Value));
        });
        Assert.True(found.TryTake(out var value, Limit));
        Assert.Null(value);
    }

    [Fact]
    public void The_thread_ends()
    {
        BringUntilTaken(() => { });
        var thread = Next();
        _own.Dispose();
        Assert.True(thread.Join(Limit));
    }

    public void Dispose() => _own.Dispose();

    private void LookOften()
    {
        _own.Dispose();
        _own = new OwnThread("test");
    }

    /// <summary>Work of before may be over and its thread not yet free.</summary>
    private void BringUntilTaken(Action work) => Assert.True(SpinWait.SpinUntil(() => TryRun(work), Limit));

    private bool TryRun(Action action) => _own.TryRun(new Work(this, action));

    private void Add(Action action) => _own.Add(new Work(this, action));

    private bool IsOnIt() => Next().Name == "test";

    private Thread Next() => _ran.TryTake(out var thread, Limit) ? thread : throw new TimeoutException("Nothing ran.");

    private sealed class RoundTrip(Action action) : IRoundTrip
    {
        public void Execute() => action();
    }

    private sealed class Work(OwnThreadTests test, Action action) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            test._ran.Add(Thread.CurrentThread);
            action();
        }
    }
}
