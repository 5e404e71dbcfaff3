using Actors.Storage;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>What goes together, as a table: what is done to the queue, and what it answers.</summary>
public sealed class GroupQueueTests
{
    // add N: N items, one by one. late N: N milliseconds after the start, the time is up. expect N. free [N]: a slot's group is handled.
    // try: the slot is free if nothing waits. Answers: begins with N items, waits, waits and is watched, free, taken.
    public static TheoryData<int, string, string> Cases => new()
    {
        { 1, "add 1", "begins 1" },
        { 1, "add 1, add 1, free, free", "begins 1, waits, begins 1, free" },
        { 1, "add 1, add 5, free, free", "begins 1, waits, begins 5, free" },
        { 1, "add 1, add 150, free, free, free", "begins 1, waits, begins 100, begins 50, free" },
        { 2, "add 1, add 1", "begins 1, watched" },
        { 2, "add 1, add 1, add 1", "begins 1, watched, waits" }, // One timer is enough.
        { 2, "add 1, add 31", "begins 1, watched" },
        { 2, "add 1, add 32", "begins 1, begins 32" }, // A crowd goes beside the first.
        { 2, "add 1, add 32, add 1, add 40", "begins 1, begins 32, waits, waits" }, // Both slots are taken.
        { 2, "add 1, add 1, late 1", "begins 1, watched, watched" }, // Too soon.
        { 2, "add 1, add 1, late 2", "begins 1, watched, begins 1" },
        { 2, "add 1, add 1, free, late 2", "begins 1, watched, begins 1, waits" }, // The first one took it along.
        { 2, "add 1, expect 50, add 49, add 1", "begins 1, none, watched, begins 50" }, // The slot's answers may bring that many.
        { 2, "add 1, expect 50, add 49, free 50, free", "begins 1, none, watched, begins 49, free" },
        { 1, "add 1, try", "begins 1, free" },
        { 1, "add 1, add 1, try, free", "begins 1, waits, taken, begins 1" },
        { 3, "add 1, free, add 1", "begins 1, free, begins 1" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void What_goes_together(int slots, string script, string answers)
    {
        var queue = new GroupQueue<int>(slots, sizeMax: 100);
        Assert.Equal(answers, string.Join(", ", script.Split(", ").Select(step => Do(queue, step.Split(' ')))));
    }

    private static string Do(GroupQueue<int> queue, string[] step)
    {
        var number = step.Length > 1 ? int.Parse(step[1], System.Globalization.CultureInfo.InvariantCulture) : 0;
        switch (step[0])
        {
            case "add":
                var (answer, watched) = ("waits", false);
                for (var i = 0; i < number; i++)
                {
                    Assert.True(queue.TryAdd(i, TimeSpan.Zero, out var begun, out var watch));
                    watched |= watch;
                    answer = begun is not null ? $"begins {begun.Count}" : watched ? "watched" : "waits";
                }

                return answer;
            case "late":
                return queue.TakeLate(TimeSpan.FromMilliseconds(number), out var again) is { } late ? $"begins {late.Count}" : again
                    ? "watched" : "waits";
            case "expect":
                queue.Expect(number);
                return "none";
            case "free":
                return queue.TakeOrFree(number) is { } next ? $"begins {next.Count}" : "free";
            default:
                return queue.TryFree() ? "free" : "taken";
        }
    }
}
