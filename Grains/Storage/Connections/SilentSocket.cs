using System.Net.Sockets;
using System.Runtime.InteropServices;
using Npgsql;

namespace Actors.Storage;

/// <summary>
/// What was sent and is not acknowledged, as after a machine or the way to it vanished, ends its connection after <see cref="Limit"/>.
/// Linux would try for a quarter of an hour; elsewhere the limits on statements and the keep-alives do it.
/// </summary>
internal static class SilentSocket
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    // netinet/tcp.h and asm-generic/socket.h of Linux, the same on x64 and arm64.
    private const int Tcp = 6;
    private const int UserTimeout = 18;
    private const int SolSocket = 1;
    private const int ReceiveTimeout = 20;

    /// <summary>The same for a read that blocks its thread (<see cref="BlockingSocket"/>), which no timer of .NET reaches.</summary>
    public static void GiveUpInTime(NpgsqlConnection connection)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        try
        {
            var socket = (int)BlockingSocket.HandleOf(connection).DangerousGetHandle();
            var (milliseconds, time) = ((int)Limit.TotalMilliseconds, new TimeValue((nint)Limit.TotalSeconds, 0));
            // A socket of this machine (AF_UNIX) refuses, and needs none.
            _ = SetSocketOption(socket, Tcp, UserTimeout, ref milliseconds, sizeof(int));
            _ = SetSocketOption(socket, SolSocket, ReceiveTimeout, ref time, Marshal.SizeOf<TimeValue>());
        }
        catch (Exception error) when (error is MissingMemberException or TypeLoadException)
        {
            // Another Npgsql: the keep-alives notice it, later.
        }
    }

    /// <summary>Ends the connection unless this is disposed of in time. Unlike a command's time-out it asks the server to cancel
    /// nothing.</summary>
    public static IDisposable EndsUnlessAnswered(NpgsqlConnection connection)
    {
        Socket? socket = null;
        try
        {
            socket = BlockingSocket.SocketOf(connection);
        }
        catch (Exception error) when (error is MissingMemberException or TypeLoadException)
        {
            // Another Npgsql: the keep-alives notice it, later.
        }

        return new Timer(_ => End(socket), null, Limit, Timeout.InfiniteTimeSpan);
    }

    private static void End(Socket? socket)
    {
        try
        {
            socket?.Shutdown(SocketShutdown.Both);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // It has ended by itself.
        }
    }

    [DllImport("libc", EntryPoint = "setsockopt")]
    private static extern int SetSocketOption(int socket, int level, int option, ref int value, int length);

    [DllImport("libc", EntryPoint = "setsockopt")]
    private static extern int SetSocketOption(int socket, int level, int option, ref TimeValue value, int length);

    private readonly record struct TimeValue(nint Seconds, nint Microseconds);
}
