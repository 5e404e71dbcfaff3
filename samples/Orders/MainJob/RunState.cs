using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace Actors.Orders.MainJob;

/// <summary>
/// <c>.actors/run.json</c>: the ports that processes of the job keep, and which processes there are, so that the next start, or
/// <c>--stop</c>, ends what a killed supervisor left behind. Written whole at every change.
/// </summary>
internal sealed class RunState
{
    private static readonly TimeSpan StartTolerance = TimeSpan.FromSeconds(5);      // of a process's start time as two processes read it
    private readonly Lock _lock = new();
    private readonly string _file;
    private readonly State _state;

    private RunState(string file, State state) => (_file, _state) = (file, state);

    public static RunState Load(string folder)
    {
        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, "run.json");
        try
        {
            return new RunState(file, JsonSerializer.Deserialize<State>(File.ReadAllBytes(file)) ?? new State());
        }
        catch (Exception error) when (error is FileNotFoundException or JsonException)
        {
            return new RunState(file, new State());
        }
    }

    /// <summary>The port that this use has had before, if it is free, else another that is free now and is kept from now on.</summary>
    public int Port(string use)
    {
        lock (_lock)
        {
            var taken = _state.Ports.Where(port => port.Key != use).Select(port => port.Value).ToHashSet();
            var port = _state.Ports.GetValueOrDefault(use);
            // Below the ports that outgoing connections take: one of those must not sit there while a silo starts again.
            while (port == 0 || taken.Contains(port) || !IsFree(port))
            {
                port = Random.Shared.Next(20_000, 32_000);
            }

            _state.Ports[use] = port;
            Save();
            return port;
        }
    }

    public void Started(string name, Process process)
    {
        lock (_lock)
        {
            _state.Processes[name] = new Entry(process.Id, process.StartTime.ToUniversalTime(), null);
            Save();
        }
    }

    /// <summary>The process serves as this silo.</summary>
    public void Serves(string name, Guid silo)
    {
        lock (_lock)
        {
            _state.Processes[name] = _state.Processes[name] with { Silo = silo };
            Save();
        }
    }

    public void Ended(string name)
    {
        lock (_lock)
        {
            _state.Processes.Remove(name);
            Save();
        }
    }

    /// <summary>The running process of this name, or null.</summary>
    public Process? Find(string name) => _state.Processes.TryGetValue(name, out var entry) ? Find(entry) : null;

    /// <summary>None of the processes listed here runs when this returns; lists nothing then.</summary>
    /// <returns>Names of those that ran, and the silos among all that were listed.</returns>
    public async Task<(List<string> Ended, List<Guid> Silos)> EndLeftBehindAsync()
    {
        var ended = new List<string>();
        foreach (var (name, entry) in _state.Processes)
        {
            using var process = Find(entry);
            if (process is not null && process.Id != Environment.ProcessId)
            {
                process.Kill();
                await process.WaitForExitAsync();
                ended.Add(name);
            }
        }

        var silos = _state.Processes.Values.Select(entry => entry.Silo).OfType<Guid>().ToList();
        _state.Processes.Clear();
        Save();
        return (ended, silos);
    }

    private static Process? Find(Entry entry)
    {
        try
        {
            var process = Process.GetProcessById(entry.Id);
            if (!process.HasExited && (process.StartTime.ToUniversalTime() - entry.StartedAt).Duration() < StartTolerance)
            {
                return process;
            }

            process.Dispose();      // another process has the number now
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            // There is no such process, or it is not ours to ask.
        }

        return null;
    }

    private static bool IsFree(int port)
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

    private void Save()
    {
        File.WriteAllBytes(_file + ".new", JsonSerializer.SerializeToUtf8Bytes(_state));
        File.Move(_file + ".new", _file, overwrite: true);
    }

    private sealed class State
    {
        public Dictionary<string, int> Ports { get; init; } = [];

        public Dictionary<string, Entry> Processes { get; init; } = [];
    }

    private sealed record Entry(int Id, DateTime StartedAt, Guid? Silo);
}
