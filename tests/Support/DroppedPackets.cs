using System.Diagnostics;
using System.Net;
using System.Runtime.InteropServices;

namespace Actors.Support;

/// <summary>
/// A way to Postgres whose packets can be made to vanish, in both directions and on connections that are open: nothing is acknowledged,
/// reset or ended, as when the server's machine is gone. The way leads through a network namespace of its own.
/// </summary>
public sealed class DroppedPackets : IAsyncDisposable
{
    private const int NewNetwork = 0x40000000; // CLONE_NEWNET, sched.h.

    private readonly string _name = $"actors-{Environment.ProcessId}";
    private readonly string _net = $"10.231.{Environment.ProcessId % 256}";
    private CutProxy? _proxy;

    private DroppedPackets()
    {
    }

    /// <summary>Linux, root, and the program ip.</summary>
    public static bool ArePossible => OperatingSystem.IsLinux() && Environment.IsPrivilegedProcess && File.Exists("/usr/sbin/ip");

    public string ConnectionString => _proxy!.ConnectionString;

    public static async Task<DroppedPackets> CreateAsync(string connectionString)
    {
        var way = new DroppedPackets();
        try
        {
            await way.BeginAsync(connectionString);
            return way;
        }
        catch
        {
            await way.DisposeAsync();
            throw;
        }
    }

    public async Task DropAsync()
    {
        foreach (var direction in new[] { "in", "out" })
        {
            await IpAsync($"netns exec {_name} ip xfrm policy add dir {direction} src 0.0.0.0/0 dst 0.0.0.0/0 action block");
        }
    }

    public Task PassAsync() => IpAsync($"netns exec {_name} ip xfrm policy flush");

    public async ValueTask DisposeAsync()
    {
        if (_proxy is not null)
        {
            await _proxy.DisposeAsync();
        }

        await IpAsync($"netns delete {_name}", mustSucceed: false); // The pair of interfaces goes with it.
    }

    private async Task BeginAsync(string connectionString)
    {
        var (here, there) = ($"av{Environment.ProcessId}", $"aw{Environment.ProcessId}");
        await IpAsync($"netns add {_name}");
        await IpAsync($"link add {here} type veth peer name {there} netns {_name}");
        await IpAsync($"addr add {_net}.1/30 dev {here}");
        await IpAsync($"link set {here} up");
        await IpAsync($"netns exec {_name} ip addr add {_net}.2/30 dev {there}");
        await IpAsync($"netns exec {_name} ip link set {there} up");
        var made = new TaskCompletionSource<CutProxy>(TaskCreationOptions.RunContinuationsAsynchronously);
        // Sockets belong to the namespace of the thread that makes them: this thread makes the one that listens there, and no other.
        new Thread(() =>
        {
            try
            {
                using var space = File.OpenHandle($"/run/netns/{_name}");
                made.SetResult(SetNamespace(space.DangerousGetHandle().ToInt32(), NewNetwork) == 0
                    ? new CutProxy(connectionString, at: IPAddress.Parse($"{_net}.2"))
                    : throw new InvalidOperationException($"setns: error {Marshal.GetLastPInvokeError()}"));
            }
            catch (Exception error)
            {
                made.SetException(error);
            }
        }).Start();
        _proxy = await made.Task;
    }

    private static async Task IpAsync(string arguments, bool mustSucceed = true)
    {
        using var ip = Process.Start(new ProcessStartInfo("/usr/sbin/ip", arguments) { RedirectStandardError = true })!;
        var said = await ip.StandardError.ReadToEndAsync();
        await ip.WaitForExitAsync();
        if (mustSucceed && ip.ExitCode != 0)
        {
            throw new InvalidOperationException($"ip {arguments}: {said}");
        }
    }

    [DllImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static extern int SetNamespace(int descriptor, int kind);
}
