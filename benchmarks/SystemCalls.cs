using System.Diagnostics;
using System.Globalization;

namespace Actors.Benchmarks;

/// <summary>Counts this process' system calls on sockets with strace, which slows it down: a load of its own, beside the timed
/// ones.</summary>
internal sealed class SystemCalls : IDisposable
{
    private readonly Process _strace;
    private readonly string _summary = Path.GetTempFileName();

    private SystemCalls()
    {
        var start = new ProcessStartInfo("strace") { RedirectStandardError = true };
        foreach (var argument in new[] { "-f", "-c", "-o", _summary, "-e", "trace=%network,epoll_wait,epoll_pwait", "-p", Environment.ProcessId.ToString(CultureInfo.InvariantCulture) })
        {
            start.ArgumentList.Add(argument);
        }

        _strace = Process.Start(start)!;
    }

    /// <summary>Null where there is no strace, or it may not attach.</summary>
    public static async Task<SystemCalls?> BeginAsync()
    {
        try
        {
            var calls = new SystemCalls();
            // "Process N attached …", or why not.
            var said = await calls._strace.StandardError.ReadLineAsync() ?? "";
            if (said.Contains("attached", StringComparison.Ordinal))
            {
                return calls;
            }

            calls.Dispose();
            return null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    /// <summary>Calls so far: sends and receives, and waits for them.</summary>
    public async Task<double> EndAsync()
    {
        using (var interrupt = Process.Start("kill", ["-INT", _strace.Id.ToString(CultureInfo.InvariantCulture)]))
        {
            await interrupt.WaitForExitAsync();
        }

        await _strace.WaitForExitAsync();
        // % time, seconds, usecs/call, calls, [errors], syscall
        return File.ReadLines(_summary).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(cells => cells.Length is 5 or 6 && cells[^1] != "total" && double.TryParse(cells[0], NumberStyles.Float, CultureInfo.InvariantCulture, out _))
            .Sum(cells => double.Parse(cells[3], CultureInfo.InvariantCulture));
    }

    public void Dispose()
    {
        if (!_strace.HasExited)
        {
            _strace.Kill();
        }

        _strace.Dispose();
        File.Delete(_summary);
    }
}
