using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Actors.Faults;

/// <summary>The outside world: a process that appends each line that it is sent to a file, and answers when the line is on the
/// disk.</summary>
internal static class EffectSink
{
    public static async Task RunAsync(string file, int port)
    {
        await using var stream = new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.Read);
        using var listener = new TcpListener(IPAddress.Loopback, port);
        listener.Start();
        Console.WriteLine("READY");
        Rig.EndWithParent();
        var one = new SemaphoreSlim(1, 1);
        while (true)
        {
            var client = await listener.AcceptTcpClientAsync();
            _ = ServeAsync(client, stream, one);
        }
    }

    /// <summary>Returns when the line is on the disk.</summary>
    public static async Task TellAsync(int port, string line, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(5));
        using var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(IPAddress.Loopback, port, limit.Token);
        await client.GetStream().WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), limit.Token);
        if (await client.GetStream().ReadAsync(new byte[1], limit.Token) != 1)
        {
            throw new IOException("The sink did not answer.");
        }
    }

    /// <summary>How a message stands in the files of what was delivered.</summary>
    public static string Line(Moved moved, string id) =>
        string.Create(CultureInfo.InvariantCulture, $"message {moved.Account} {moved.Version} {moved.Nonce:N} {id}");

    private static async Task ServeAsync(TcpClient client, FileStream file, SemaphoreSlim one)
    {
        try
        {
            using (client)
            {
                using var reader = new StreamReader(client.GetStream());
                if (await reader.ReadLineAsync() is not { } line)
                {
                    return;
                }

                await one.WaitAsync();
                try
                {
                    await file.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"));
                    file.Flush(flushToDisk: true);
                }
                finally
                {
                    one.Release();
                }

                await client.GetStream().WriteAsync("!"u8.ToArray());
            }
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            // It will ask again.
        }
    }
}
