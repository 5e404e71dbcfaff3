using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Actors.Support;

/// <summary>Clients that speak no protocol: random bytes, frames of Orleans with lengths that cannot be, requests of HTTP that never end,
/// connections that say nothing.</summary>
public static class GarbageClients
{
    private static readonly int[] Lengths = [0, 1, -1, int.MinValue, int.MaxValue, 16, 64, 1 << 20, (100 << 20) - 1, 100 << 20,
        (100 << 20) + 1];

    /// <summary>Returns when each has connected, sent its bytes, and been cut off or given up.</summary>
    public static Task AttackAsync(int port, Random random, int clients) => Parallel.ForEachAsync(
        Enumerable.Range(0, clients).Select(_ => Bytes(random)).ToList(),
        new ParallelOptions { MaxDegreeOfParallelism = 16 },
        async (bytes, cancellation) =>
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            patience.CancelAfter(TimeSpan.FromMilliseconds(500));
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port, patience.Token);
                await client.GetStream().WriteAsync(bytes, patience.Token);
                while (await client.GetStream().ReadAsync(new byte[4096], patience.Token) > 0)
                {
                }
            }
            catch (Exception error) when (error is IOException or SocketException or OperationCanceledException)
            {
                // Cut off, or not answered.
            }
        });

    private static byte[] Bytes(Random random)
    {
        var bytes = new byte[random.Next(1 << random.Next(17))];
        random.NextBytes(bytes);
        switch (random.Next(4))
        {
            case 0 when bytes.Length >= 8: // Length of a header, length of a body.
                BinaryPrimitives.WriteInt32LittleEndian(bytes, Lengths[random.Next(Lengths.Length)]);
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), Lengths[random.Next(Lengths.Length)]);
                break;
            case 1 when bytes.Length >= 8: // A frame that is whole, and nonsense.
                BinaryPrimitives.WriteInt32LittleEndian(bytes, (bytes.Length - 8) / 2);
                BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), bytes.Length - 8 - ((bytes.Length - 8) / 2));
                break;
            case 2:
                return [.. Encoding.ASCII.GetBytes(
                    $"POST /{random.Next()}%00%ff HTTP/1.1\r\nHost: x\r\nContent-Length: {random.NextInt64()}\r\nX: "), .. bytes];
        }

        return bytes;
    }
}
