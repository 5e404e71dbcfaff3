using Actors.Storage;

namespace Actors.Housekeeping;

/// <summary>The partitions that this silo looks after, in ranges; changes as the cluster does. Two silos may hold one for a moment: what is
/// done for a partition is safe to do twice.</summary>
internal sealed class PartitionSet
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<int, object> _holders = [];
    private volatile short[] _partitions = [];

    public short[] Partitions => _partitions;

    /// <summary>The range is here, held by this holder from now on. Again: no change.</summary>
    public void Hold(int range, object holder) => Change(() => _holders[range] = holder);

    /// <summary>Gives the range away, unless another holder has it by now: one that leaves late takes nothing from its successor.</summary>
    public void Release(int range, object holder) => Change(() =>
    {
        if (_holders.TryGetValue(range, out var current) && ReferenceEquals(current, holder))
        {
            _holders.Remove(range);
        }
    });

    private void Change(Action change)
    {
        lock (_lock)
        {
            change();
            const int size = Partition.Count / Partition.RangeCount;
            _partitions = [.. _holders.Keys.SelectMany(range => Enumerable.Range(range * size, size)).Select(
                partition => (short)partition)];
        }
    }
}
