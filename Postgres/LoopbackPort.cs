using System.Net;
using System.Net.Sockets;

namespace Actors.Postgres;

/// <summary>Ports for servers that come back to theirs.</summary>
internal static class LoopbackPort
{
    /// <summary>Free just now, and none that the system gives to an outgoing connection by itself: whoever leaves it finds it
    /// free.</summary>
    internal static int Free()
    {
        int port;
        do
        {
            port = Random.Shared.Next(15_000, 32_000);      // Linux gives those from 32,768 on, others from 49,152 on
        }
        while (!IsFree(port));
        return port;
    }

    internal static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
