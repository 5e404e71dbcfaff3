using System.Security.Cryptography;
using System.Text;

namespace Actors.Storage;

internal static class Partition
{
    public const int Count = 1024;

    /// <summary>Equal to the SQL function actors.partition_of: first two bytes of SHA-256(namespace U+001F id), big-endian, modulo 1,024.</summary>
    public static short Of(WorkflowId id)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes($"{id.Namespace}\u001f{id.Id}"), hash);
        return (short)(((hash[0] << 8) | hash[1]) % Count);
    }

    /// <summary>Equal to the SQL function actors.partition_of: decides which relay has a lane of the outbox, wherever its runs are.</summary>
    public static short OfLane(long lane) => (short)(lane & (Count - 1));
}
