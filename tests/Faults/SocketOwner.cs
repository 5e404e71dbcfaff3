using System.Globalization;

namespace Actors.Faults;

/// <summary>Which process stands at the other end of a connection on this machine, by the kernel's tables. Knows nothing where there is no
/// /proc.</summary>
internal static class SocketOwner
{
    /// <param name="port">The connection's port on that process's side.</param>
    public static bool Is(int processId, int port)
    {
        try
        {
            var inodes = new[] { "tcp", "tcp6" }.SelectMany(table => File.ReadLines($"/proc/net/{table}").Skip(1))
                .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
                .Where(columns => int.Parse(
                    columns[1].AsSpan(columns[1].IndexOf(':') + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture) == port)
                .Select(columns => $"socket:[{columns[9]}]")
                .ToHashSet();
            return new DirectoryInfo($"/proc/{processId}/fd").EnumerateFileSystemInfos().Any(
                file => file.LinkTarget is { } target && inodes.Contains(target));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false; // It has ended.
        }
    }
}
