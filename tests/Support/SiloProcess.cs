using System.Diagnostics;
using System.Globalization;
using Actors.Postgres;

namespace Actors.Support;

/// <summary>A silo as a process of its own (tests/TestSilo), with what it printed. Killed at the end, whatever the test did.</summary>
public sealed class SiloProcess : IAsyncDisposable
{
    private readonly string[] _arguments;
    private readonly ReadyProcess _process;

    private SiloProcess(string[] arguments, int heapLimitMiB = 0)
    {
        _arguments = arguments;
        var configuration = Path.GetFileName(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)))!;
        var program = Path.Combine(
            TestPostgres.RepositoryFolder, "tests", "TestSilo", "bin", configuration, "net10.0", "Actors.TestSilo.dll");
        var start = new ProcessStartInfo("dotnet", arguments.Prepend(program));
        if (heapLimitMiB > 0)
        {
            start.Environment["DOTNET_GCHeapHardLimit"] = $"0x{(long)heapLimitMiB << 20:X}";
        }

        _process = new ReadyProcess(start);
    }

    public int ProcessId => _process.Id;

    public bool HasExited => _process.HasExited;

    /// <summary>The doors for other silos and for clients.</summary>
    public IEnumerable<int> Ports => _arguments[3..5].Select(port => int.Parse(port, CultureInfo.InvariantCulture));

    /// <summary>The most memory that it ever had.</summary>
    public long PeakMiB => _process.PeakMiB();

    /// <summary>Everything that the process printed so far.</summary>
    public string Output => _process.Output;

    /// <summary>Begins a silo on free ports; <see cref="ReadyAsync"/> waits for it.</summary>
    /// <param name="heapLimitMiB">Of its garbage-collected heap; 0: the machine's.</param>
    /// <param name="watches">False: it acts on the death of others by its reminders alone.</param>
    public static SiloProcess Begin(string connectionString, string cluster, string name, int heapLimitMiB = 0, bool watches = true) => new(
        [
            connectionString, cluster, name, LoopbackPort.Free().ToString(CultureInfo.InvariantCulture),
            LoopbackPort.Free().ToString(CultureInfo.InvariantCulture), .. watches ? [] : new[] { "unwatching" },
        ],
        heapLimitMiB);

    /// <summary>Begins the same silo again, on the same ports, with the machine's memory.</summary>
    public SiloProcess Again() => new(_arguments);

    public async Task<SiloProcess> ReadyAsync()
    {
        await _process.ReadyAsync();
        return this;
    }

    /// <summary>SIGKILL, and the process is gone.</summary>
    public Task KillAsync() => Task.Run(_process.Kill);

    public void Freeze() => _process.Signal("STOP");

    public void Thaw() => _process.Signal("CONT");

    /// <summary>SIGTERM; returns the exit code.</summary>
    public async Task<int> StopAsync()
    {
        _process.Signal("TERM");
        await ExitedAsync();
        return _process.ExitCode;
    }

    public Task ExitedAsync() => _process.ExitedAsync();

    /// <summary>Of a process that has ended.</summary>
    public int ExitCode => _process.ExitCode;

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process.Dispose();
    }
}
