using System.Collections.Concurrent;
using Actors.Storage;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>What goes together, and what does not wait: with groups that the test itself ends.</summary>
public sealed class GroupingTests
{
    private readonly BlockingCollection<(List<int> Items, TaskCompletionSource End)> _begun = [];
    private readonly BlockingCollection<int> _answered = [];

    private static TimeSpan Limit => TimeSpan.FromSeconds(20);

    [Fact]
    public async Task A_lonely_item_goes_at_once_on_the_thread_that_brings_it()
    {
        await using var groups = Lanes(2);
        groups.TryAdd(1);
        Assert.Equal([1], EndNext());
        Assert.Equal(1, Answer());
        groups.TryAdd(2); // The lane is free before the answer is given.
        Assert.Equal([2], EndNext());
        Assert.Equal(2, Answer());
    }

    [Fact]
    public async Task What_waits_behind_a_group_goes_together()
    {
        await using var groups = Lanes(1);
        groups.TryAdd(1);
        Enumerable.Range(2, 9).ToList().ForEach(item => groups.TryAdd(item));
        Assert.Equal([1], EndNext());
        Assert.Equal(Enumerable.Range(2, 9), EndNext());
        Assert.Equal(Enumerable.Range(1, 10), Enumerable.Range(1, 10).Select(_ => Answer()).Order());
    }

    [Fact]
    public async Task A_crowd_goes_beside_the_group_under_way()
    {
        await using var groups = Lanes(2);
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
        await using var groups = Lanes(2);
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
        await using var groups = new Grouping<int>(1, 3, HandleAsync, _answered.Add) { Weigh = item => item, WeightMax = 10 };
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
        var groups = Lanes(2);
        groups.TryAdd(1);
        groups.TryAdd(2);
        var end = groups.EndAsync();
        Assert.False(groups.TryAdd(3));
        Assert.Equal([1], EndNext());
        var last = Next();
        Assert.False(end.IsCompleted);
        last.End.SetResult();
        await end.WaitAsync(Limit, TestContext.Current.CancellationToken);
        await groups.DisposeAsync();
    }

    private Grouping<int> Lanes(int lanes) => new(lanes, 100, HandleAsync, _answered.Add);

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
