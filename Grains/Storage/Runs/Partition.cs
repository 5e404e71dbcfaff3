namespace Actors.Storage;

internal static class Partition
{
    public const int Count = 1024;

    public static readonly short[] All = [.. Enumerable.Range(0, Count).Select(partition => (short)partition)];

    /// <summary>Ranges of partitions: each is looked after by one silo.</summary>
    public const int RangeCount = 128;

    /// <summary>Equal to the SQL function actors.partition_of: which silo's sweep or relay looks after a run, by its instance, or a
    /// lane.</summary>
    public static short Of(long number) => (short)((number ^ (number >> 10) ^ (number >> 22)) & (Count - 1));
}
