using System.Collections.Concurrent;
using System.Diagnostics;
using Actors.Storage;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>What goes together, and what does not wait: with groups that the test itself ends.</summary>
public sealed class SlotRunnerTests
{
    private readonly BlockingCollection<(List<int> Items, TaskCompletionSource End)> _begun = [];
    private readonly BlockingCollection<int> _answered = [];

    private static TimeSpan Limit => TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_lonely_item_goes_at_once_on_the_thread_that_brings_it()
    {
        await using var groups = Slots(2);
        groups.TryAdd(1);
        Assert.Equal([1], EndNext());
        Assert.Equal(1, Answer());
        groups.TryAdd(2); // The slot is free before the answer is given.
        Assert.Equal([2], EndNext());
        Assert.Equal(2, Answer());
    }

    [Fact]
    public async Task What_waits_behind_a_group_goes_together()
    {
        await using var groups = Slots(1);
        groups.TryAdd(1);
        Enumerable.Range(2, 9).ToList().ForEach(item => groups.TryAdd(item));
        Assert.Equal([1], EndNext());
        Assert.Equal(Enumerable.Range(2, 9), EndNext());
        Assert.Equal(Enumerable.Range(1, 10), Enumerable.Range(1, 10).Select(_ => Answer()).Order());
    }

    [Fact]
    public async Task A_crowd_goes_beside_the_group_under_way()
    {
        await using var groups = Slots(2);
        groups.TryAdd(0);
        var first = Next();
        Enumerable.Range(1, 40).ToList().ForEach(item => groups.TryAdd(item));
        var second = Next();
        Assert.InRange(second.Items.Count, 1, 40);
        second.End.SetResult();
        first.End.SetResult();
        for (var taken = second.Items.Count; taken < 40;)
        {
            taken += EndNext().Count;
        }
    }

    [Fact]
    public async Task Nobody_waits_long_for_a_group_that_does_not_end()
    {
        await using var groups = Slots(2);
        groups.TryAdd(1);
        var stuck = Next();
        groups.TryAdd(2);
        Assert.Equal([2], EndNext());
        Assert.Equal(2, Answer());
        groups.TryAdd(3);
        Assert.Equal([3], EndNext());
        stuck.End.SetResult();
    }

    [Fact]
    public async Task A_group_ends_at_its_limit_of_items_and_at_its_limit_of_weight()
    {
        await using var groups = new SlotRunner<int>(
            new GroupQueue<int>(1, 3) { Weigh = item => item, WeightMax = 10 }, HandleAsync, _answered.Add);
        foreach (var item in new[] { 1, 1, 1, 1, 1, 10, 1 })
        {
            groups.TryAdd(item);
        }

        Assert.Equal([1], EndNext());
        Assert.Equal([1, 1, 1], EndNext());
        Assert.Equal([1, 10], EndNext());
        Assert.Equal([1], EndNext());
    }

    [Fact]
    public async Task The_end_waits_for_every_group_and_takes_nothing_more()
    {
        var groups = Slots(2);
        groups.TryAdd(1);
        groups.TryAdd(2);
        var end = groups.EndAsync();
        Assert.False(groups.TryAdd(3));
        Assert.Single(EndNext()); // Either of the two.
        var last = Next();
        Assert.False(end.IsCompleted);
        last.End.SetResult();
        await end.WaitAsync(Limit, TestContext.Current.CancellationToken);
        await groups.DisposeAsync();
    }

    [Fact]
    public async Task A_small_group_is_answered_on_the_slot_s_own_thread_and_what_that_brings_goes_together()
    {
        using var held = new ManualResetEventSlim();
        var threads = new ConcurrentQueue<string?>();
        SlotRunner<int>? groups = null;
        groups = Own(held, TimeSpan.FromHours(1), item =>
        {
            threads.Enqueue(Thread.CurrentThread.Name);
            if (item < 20)
            {
                groups!.TryAdd(item + 10);
            }
        });
        AddBehindTheFirst(groups, held, [1, 2, 3]);
        Assert.Equal([[1, 2, 3], [11, 12, 13], [21, 22, 23]], new[] { EndNext(), EndNext(), EndNext() });
        await groups.DisposeAsync();
        Assert.Equal(Enumerable.Repeat("own", 10), threads);
    }

    [Fact]
    public async Task An_answer_that_is_not_short_gives_the_others_to_the_pool()
    {
        using var held = new ManualResetEventSlim();
        var threads = new ConcurrentDictionary<int, string?>();
        var shortMax = TimeSpan.FromMilliseconds(20);
        var groups = Own(held, shortMax, item =>
        {
            threads[item] = Thread.CurrentThread.Name;
            var began = Stopwatch.GetTimestamp();
            SpinWait.SpinUntil(() => item != 1 || Stopwatch.GetElapsedTime(began) > shortMax);
        });
        AddBehindTheFirst(groups, held, [1, 2, 3]);
        Assert.Equal([1, 2, 3], EndNext());
        SpinWait.SpinUntil(() => threads.Count == 4, Limit);
        await groups.DisposeAsync();
        Assert.DoesNotContain("own", new[] { threads[2], threads[3] });
    }

    [Fact]
    public async Task The_answer_of_a_lonely_item_holds_up_nobody()
    {
        using var held = new ManualResetEventSlim(true);
        using var answers = new ManualResetEventSlim();
        using var other = new ManualResetEventSlim();
        var waited = new TaskCompletionSource<bool>();
        var groups = Own(held, TimeSpan.FromHours(1), item =>
        {
            if (item == 1)
            {
                answers.Set();
                waited.SetResult(other.Wait(Limit));
            }
            else
            {
                other.Set();
            }
        });
        groups.TryAdd(1);
        Assert.Equal([1], EndNext());
        Assert.True(answers.Wait(Limit, TestContext.Current.CancellationToken));
        groups.TryAdd(2);
        Assert.True(await waited.Task.WaitAsync(Limit, TestContext.Current.CancellationToken));
        await groups.DisposeAsync();
    }

    [Fact]
    public async Task What_waits_behind_a_slot_that_holds_its_own_thread_goes_by_another()
    {
        using var held = new ManualResetEventSlim();
        SlotRunner<int>? groups = null;
        groups = new(new GroupQueue<int>(2, 100), Handle, item =>
        {
            if (item == 1)
            {
                groups!.TryAdd(2);
                groups.TryAdd(3);
            }
        }) { Own = new OwnThread("own", TimeSpan.FromHours(1)) };
        groups.TryAdd(1);
        Assert.Equal([1], EndNext());
        Assert.Equal([2, 3], EndNext().Concat(EndNext()).Order()); // Either may begin first.
        held.Set();
        await groups.DisposeAsync();

        Task Handle(List<int> items)
        {
            _begun.Add(([.. items], new TaskCompletionSource()));
            Assert.True(items[0] != 2 || held.Wait(Limit));
            return Task.CompletedTask;
        }
    }

    /// <summary>One slot with a thread of its own, which a group holds until they are let go.</summary>
    private SlotRunner<int> Own(ManualResetEventSlim held, TimeSpan shortMax, Action<int> answer)
    {
        return new(new GroupQueue<int>(1, 100), Handle, answer) { Own = new OwnThread("own", TimeSpan.FromHours(1)), ShortMax = shortMax };

        Task Handle(List<int> items)
        {
            _begun.Add(([.. items], new TaskCompletionSource()));
            Assert.True(held.Wait(Limit));
            return Task.CompletedTask;
        }
    }

    private void AddBehindTheFirst(SlotRunner<int> groups, ManualResetEventSlim held, List<int> items)
    {
        groups.TryAdd(20);
        Assert.Equal([20], EndNext());
        items.ForEach(item => groups.TryAdd(item));
        held.Set();
    }

    private SlotRunner<int> Slots(int slots) => new(new GroupQueue<int>(slots, 100), HandleAsync, _answered.Add);

    private async Task HandleAsync(List<int> items)
    {
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _begun.Add(([.. items], end));
        await end.Task;
    }

    private (List<int> Items, TaskCompletionSource End) Next() =>
        _begun.TryTake(out var group, Limit) ? group : throw new TimeoutException("No group began.");

    private List<int> EndNext()
    {
        var (items, end) = Next();
        end.SetResult();
        return items;
    }

    private int Answer() => _answered.TryTake(out var item, Limit) ? item : throw new TimeoutException("No answer came.");
}
