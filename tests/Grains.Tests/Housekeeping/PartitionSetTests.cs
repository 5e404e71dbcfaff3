using Actors.Housekeeping;
using Actors.Storage;
using Xunit;

namespace Actors.Grains.Tests.Partitions;

public sealed class PartitionSetTests
{
    private const int Size = Partition.Count / Partition.RangeCount;

    private readonly PartitionSet _set = new();

    /// <summary>Two grains of one range overlap when Orleans moves it away and back: the first still ends while the second is at
    /// work.</summary>
    [Fact]
    public void A_holder_that_leaves_late_takes_nothing_from_its_successor()
    {
        var (first, second) = (new object(), new object());
        _set.Hold(3, first);
        _set.Hold(3, second);
        _set.Release(3, first);
        Assert.Equal(Enumerable.Range(3 * Size, Size).Select(p => (short)p), _set.Partitions);
        _set.Release(3, second);
        Assert.Empty(_set.Partitions);
    }

    [Fact]
    public void All_ranges_are_all_partitions()
    {
        for (var range = Partition.RangeCount; range-- > 0;)
        {
            _set.Hold(range, this);
        }

        Assert.Equal(Partition.All, _set.Partitions);
    }
}
