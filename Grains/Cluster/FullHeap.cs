using System.Runtime.ExceptionServices;

namespace Actors.Cluster;

/// <summary>
/// A process whose heap is full ends at once, as if it were killed. An <see cref="OutOfMemoryException"/> in the middle of Npgsql, Orleans
/// or the thread pool leaves waits that nobody ends, and a silo that lives but does not go on keeps its workflows from all others. While
/// half of the heap's limit is free, an array that is too large is the affair of who asked for it. The limit: the container's or
/// <c>DOTNET_GCHeapHardLimit</c>, else the machine's memory.
/// </summary>
internal static class FullHeap
{
    private const string Words = "The heap is full. What is left of this silo cannot be trusted, so it ends; start it anew. Its workflows "
        + "go on elsewhere.";

    private static long _half;
    private static int _isEnding;

    /// <summary>From now on, for the whole process.</summary>
    public static void EndsTheProcess()
    {
        if (Interlocked.Exchange(ref _half, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 2) == 0)
        {
            AppDomain.CurrentDomain.FirstChanceException += static (_, thrown) => Judge(thrown);
        }
    }

    /// <summary>Allocates nothing. Ends the process once: its end itself may find no memory either.</summary>
    private static void Judge(FirstChanceExceptionEventArgs thrown)
    {
        if (thrown.Exception is OutOfMemoryException && GC.GetTotalMemory(forceFullCollection: false) > _half
            && Interlocked.Exchange(ref _isEnding, 1) == 0)
        {
            Environment.FailFast(Words);
        }
    }
}
