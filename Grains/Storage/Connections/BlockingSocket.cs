using System.Globalization;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Npgsql;

namespace Actors.Storage;

/// <summary>
/// Gives a connection a socket that blocks the thread which sends and reads: asynchronous calls of Npgsql then end before they return. A
/// round trip is two system calls and one thread to wake, where a socket of .NET takes four and two: it tries, hears from a thread that
/// waits for all sockets, and has a thread of the pool try again. For connections that only an <see cref="OwnThread"/> uses.
/// </summary>
/// <remarks>.NET never makes a socket block that did not once (SafeSocketHandle.IsNonBlocking), and Npgsql has no way to give it one: the
/// flag is taken from the descriptor, and the descriptor from the epoll instances, which would wake their thread for nothing each time
/// something arrives. .NET knows of neither, and need not: only a call that would block asks for its events, and none does.</remarks>
internal static class BlockingSocket
{
    // fcntl.h and sys/epoll.h of Linux, the same on x64 and arm64.
    private const int GetFlags = 3;
    private const int SetFlags = 4;
    private const int NonBlocking = 0x800;
    private const int Delete = 2;

    public static bool IsPossible => OperatingSystem.IsLinux();

    /// <summary>False where this Npgsql or this system does not let it be: the connection stays as it was, and works.</summary>
    public static bool TryMake(NpgsqlConnection connection)
    {
        try
        {
            var (socket, epolls) = ((int)HandleOf(connection).DangerousGetHandle(), Epolls());
            if (!IsPossible || Fcntl(socket, SetFlags, Fcntl(socket, GetFlags, 0) & ~NonBlocking) != 0)
            {
                return false;
            }

            foreach (var epoll in epolls)
            {
                _ = EpollControl(epoll, Delete, socket, 0); // Of those that do not have it, too: they say so.
            }

            return true;
        }
        catch (Exception error) when (error is MissingMemberException or TypeLoadException or IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    internal static SafeSocketHandle HandleOf(NpgsqlConnection connection) => SocketOf(connection).SafeHandle;

    internal static Socket SocketOf(NpgsqlConnection connection) => StreamOf(ConnectorOf(connection)).Socket;

    internal static List<int> Epolls() =>
    [
        .. new DirectoryInfo("/proc/self/fd").EnumerateFiles()
            .Where(file => file.LinkTarget == "anon_inode:[eventpoll]")
            .Select(file => int.Parse(file.Name, CultureInfo.InvariantCulture)),
    ];

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_Connector")]
    [return: UnsafeAccessorType("Npgsql.Internal.NpgsqlConnector, Npgsql")]
    private static extern object ConnectorOf(NpgsqlConnection connection);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_baseStream")]
    private static extern ref NetworkStream StreamOf([UnsafeAccessorType("Npgsql.Internal.NpgsqlConnector, Npgsql")] object connector);

    [DllImport("libc", EntryPoint = "fcntl")]
    private static extern int Fcntl(int file, int command, int argument);

    [DllImport("libc", EntryPoint = "epoll_ctl")]
    private static extern int EpollControl(int epoll, int operation, int file, nint nothing);
}
