namespace Actors.Postgres;

/// <summary>A lock between processes. It ends with its holder, whichever way that ends.</summary>
internal static class FileLock
{
    /// <summary>Waits until no other process holds the lock. Disposing the stream releases it.</summary>
    internal static async Task<FileStream> TakeAsync(string path, CancellationToken cancellation)
    {
        while (true)
        {
            if (TryTake(path, FileShare.None) is { } taken)
            {
                return taken;
            }
            await Task.Delay(TimeSpan.FromMilliseconds(50), cancellation);
        }
    }

    /// <summary>Null when another process holds it. <see cref="FileShare.Read"/>: shared with all who ask for the same.</summary>
    internal static FileStream? TryTake(string path, FileShare share)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, share == FileShare.None ? FileAccess.ReadWrite : FileAccess.Read, share);
        }
        catch (IOException error) when ((error.HResult & 0xffff) is 11 or 35 or 32 or 33)   // EAGAIN of Linux, of macOS; Windows
        {
            return null;
        }
    }
}
