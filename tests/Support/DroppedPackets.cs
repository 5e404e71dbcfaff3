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

    private static int s_count;

    private readonly string _name;
    private readonly (string Here, string There) _links, _addresses;
    private CutProxy? _proxy;

    private DroppedPackets()
    {
        var (process, number) = (Environment.ProcessId, Interlocked.Increment(ref s_count));
        _name = $"actors-{process}-{number}";
        _links = ($"av{process}-{number}", $"aw{process}-{number}");
        // Four addresses for each process, of those that are set aside for trying networks out (RFC 2544: 198.18.0.0/15).
        var first = (198 << 24) + (18 << 16) + (process % (1 << 15) * 4);
        _addresses = (Address(first + 1), Address(first + 2));
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

        // At once: the namespace alone would take the pair of interfaces with it some time later, with the addresses of the next one.
        await IpAsync($"link delete {_links.Here}", mustSucceed: false);
        await IpAsync($"netns delete {_name}", mustSucceed: false);
    }

    private static string Address(int number) => $"{(number >> 24) & 255}.{(number >> 16) & 255}.{(number >> 8) & 255}.{number & 255}";

    private async Task BeginAsync(string connectionString)
    {
        await IpAsync($"netns add {_name}");
        await IpAsync($"link add {_links.Here} type veth peer name {_links.There} netns {_name}");
        await IpAsync($"addr add {_addresses.Here}/30 dev {_links.Here}");
        await IpAsync($"link set {_links.Here} up");
        await IpAsync($"netns exec {_name} ip addr add {_addresses.There}/30 dev {_links.There}");
        await IpAsync($"netns exec {_name} ip link set {_links.There} up");
        var made = new TaskCompletionSource<CutProxy>(TaskCreationOptions.RunContinuationsAsynchronously);
        // Sockets belong to the namespace of the thread that makes them: this thread makes the one that listens there, and no other.
        new Thread(() =>
        {
            try
            {
                using var space = File.OpenHandle($"/run/netns/{_name}");
                made.SetResult(SetNamespace(space.DangerousGetHandle().ToInt32(), NewNetwork) == 0
                    ? new CutProxy(connectionString, at: IPAddress.Parse(_addresses.There))
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
