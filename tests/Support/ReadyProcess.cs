using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Actors.Support;

/// <summary>A program of ours as a process that says READY, and can be killed, frozen and told to stop. Keeps what it printed. Killed at
/// the end, whatever the test did.</summary>
public sealed class ReadyProcess : IDisposable
{
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<string> _output = [];
    private readonly Process _process;
    private readonly string? _logFile;
    private bool _isDisposed;

    /// <param name="logFile">What it prints is appended here, and not kept in memory.</param>
    public ReadyProcess(ProcessStartInfo start, string? logFile = null)
    {
        _logFile = logFile;
        (start.RedirectStandardInput, start.RedirectStandardOutput, start.RedirectStandardError) = (true, true, true);
        _process = new Process { StartInfo = start, EnableRaisingEvents = true };
        _process.OutputDataReceived += (_, line) => Heard(line.Data);
        _process.ErrorDataReceived += (_, line) => Heard(line.Data);
        _process.Exited += (_, _) =>
            _ready.TrySetException(new InvalidOperationException($"The process ended before it was ready:\n{Output}"));
        _process.Start();
        Id = _process.Id;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id { get; }

    public bool HasExited => _process.HasExited;

    /// <summary>It said READY.</summary>
    public bool WasReady => _ready.Task.IsCompletedSuccessfully;

    public int ExitCode => _process.ExitCode;

    /// <summary>Everything that the process printed so far, or the file that has it.</summary>
    public string Output
    {
        get
        {
            lock (_output)
            {
                return _logFile ?? string.Join('\n', _output);
            }
        }
    }

    public async Task ReadyAsync()
    {
        try
        {
            await _ready.Task.WaitAsync(TimeSpan.FromSeconds(60));
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"The process did not get ready:\n{Output}");
        }
    }

    /// <summary>SIGKILL, and the process is gone.</summary>
    public void Kill()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.WaitForExit();
    }

    /// <summary>A silo that was declared dead may learn it from Orleans' table alone, which it reads once a minute.</summary>
    public Task ExitedAsync() => _process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(2));

    /// <param name="signal">As kill names it: STOP, CONT, TERM.</param>
    public void Signal(string signal)
    {
        if (_isDisposed)
        {
            return; // Its number may be another's by now.
        }

        using var kill = Process.Start("kill", [$"-{signal}", Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    /// <summary>A line on its standard input, if it is there to read it.</summary>
    public void Tell(string line)
    {
        try
        {
            _process.StandardInput.WriteLine(line);
            _process.StandardInput.Flush();
        }
        catch (Exception error) when (error is IOException or ObjectDisposedException)
        {
            // It has ended.
        }
    }

    /// <summary>The most memory that it ever had, in MiB; 0 where the system does not tell.</summary>
    public long PeakMiB()
    {
        try
        {
            var line = File.ReadLines($"/proc/{Id}/status").FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
            return line is null ? 0
                : long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    /// <summary>The most memory counts anew from what it has now.</summary>
    public void ForgetPeak()
    {
        try
        {
            File.WriteAllText($"/proc/{Id}/clear_refs", "5");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It has ended, or the system does not count.
        }
    }

    public void Dispose()
    {
        Kill();
        _isDisposed = true;
        _process.Dispose();
    }

    private void Heard(string? line)
    {
        if (line is null)
        {
            return;
        }

        lock (_output)
        {
            if (_logFile is null)
            {
                _output.Add(line);
            }
            else
            {
                File.AppendAllText(_logFile, line + "\n");
            }
        }

        if (line == "READY" || line.StartsWith("READY ", StringComparison.Ordinal))
        {
            _ready.TrySetResult();
        }
    }
}
