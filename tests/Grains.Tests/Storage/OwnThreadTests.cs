using System.Collections.Concurrent;
using Actors.Storage;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>One thread, and work that the test itself ends.</summary>
public sealed class OwnThreadTests : IDisposable
{
    private static readonly AsyncLocal<string?> Left = new();

    private readonly BlockingCollection<Thread> _ran = [];
    private readonly OwnThread _own = new("test");

    private static TimeSpan Limit => TimeSpan.FromSeconds(20);

    [Fact]
    public void What_work_brings_goes_next_on_the_thread()
    {
        BringUntilTaken(() => Assert.True(TryRun(() => Assert.True(TryRun(() => { })))));
        var threads = new[] { Next(), Next(), Next() };
        Assert.Equal("test", threads.Distinct().Single().Name);
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
    public void What_waits_for_work_that_blocks_goes_elsewhere_and_all_after_it()
    {
        using var end = new ManualResetEventSlim();
        using var refused = new ManualResetEventSlim();
        BringUntilTaken(() =>
        {
            Assert.True(TryRun(end.Set));
            Assert.True(end.Wait(Limit)); // By the work itself, which is therefore on another thread.
            if (!TryRun(() => { }))
            {
                refused.Set();
            }
        });
        Assert.Equal("test", Next().Name);
        Assert.NotEqual("test", Next().Name);
        Assert.True(refused.Wait(Limit));
        BringUntilTaken(() => { });
        Assert.Equal("test", Next().Name);
    }

    [Fact]
    public void Nothing_that_work_leaves_in_the_context_reaches_the_next()
    {
        var found = new BlockingCollection<string?>();
        BringUntilTaken(() =>
        {
            Left.Value = "left";
            Assert.True(TryRun(() => found.Add(Left.Value)));
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

    /// <summary>Work of before may be over and its thread not yet free.</summary>
    private void BringUntilTaken(Action work) => Assert.True(SpinWait.SpinUntil(() => TryRun(work), Limit));

    private bool TryRun(Action action) => _own.TryRun(new Work(this, action));

    private Thread Next() => _ran.TryTake(out var thread, Limit) ? thread : throw new TimeoutException("Nothing ran.");

    private sealed class Work(OwnThreadTests test, Action action) : IThreadPoolWorkItem
    {
        public void Execute()
        {
            test._ran.Add(Thread.CurrentThread);
            action();
        }
    }
}
