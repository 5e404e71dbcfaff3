using Actors.Storage;

namespace Actors.Partitions;

/// <summary>The partitions that this silo looks after, in ranges; changes as the cluster does. Two silos may hold one for a moment: what is done for a partition is safe to do twice.</summary>
internal sealed class PartitionSet
{
    /// <summary>Ranges in all: each is one grain.</summary>
    public const int RangeCount = 16;

    private readonly Lock _lock = new();
    private readonly SortedSet<int> _ranges = [];
    private volatile short[] _partitions = [];

    public short[] Partitions => _partitions;

    public int Ranges
    {
        get
        {
            lock (_lock)
            {
                return _ranges.Count;
            }
        }
    }

    public void Add(int range) => Change(() => _ranges.Add(range));

    public void Remove(int range) => Change(() => _ranges.Remove(range));

    private void Change(Func<bool> change)
    {
        lock (_lock)
        {
            change();
            const int size = Partition.Count / RangeCount;
            _partitions = [.. _ranges.SelectMany(range => Enumerable.Range(range * size, size)).Select(partition => (short)partition)];
        }
    }
}
