using System.Diagnostics;

namespace Actors.Orders.MainJob;

/// <summary>
/// One process of this program under another verb, started again whenever it ends, until it is stopped. It says that it serves with a line
/// <c>READY id url</c>; whatever else it prints goes to its log. It ends by itself when this process does, because its standard input ends
/// then.
/// </summary>
internal sealed class SupervisedProcess : IAsyncDisposable
{
    private const int StartsMax = 5;        // in a row that never get ready
    private const int TailMax = 30;
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(40);

    private readonly string _name;
    private readonly ProcessStartInfo _start;
    private readonly RunState _state;
    private readonly Func<Guid, Task> _died;
    private readonly StreamWriter _log;
    private readonly Queue<string> _tail = new();
    private readonly Task _running;
    private TaskCompletionSource<Life> _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Process? _process;
    private volatile bool _stopping;

    /// <param name="died">Called after a process that served is gone, with its id, before the next one starts.</param>
    public SupervisedProcess(
        string name, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, RunState state, string logFolder,
        Func<Guid, Task> died)
    {
        (_name, _state, _died) = (name, state, died);
        Directory.CreateDirectory(logFolder);
        LogFile = Path.Combine(logFolder, $"{name}.log");
        _log = new StreamWriter(LogFile, append: false) { AutoFlush = true };
        _start = ThisProgram([.. arguments, "--until-stdin-ends"]);
        foreach (var (variable, value) in environment)
        {
            _start.Environment[variable] = value;
        }

        _running = Task.Run(RunAsync);
    }

    public string LogFile { get; }

    /// <summary>Completes when the process was stopped; fails when it ended again and again without getting ready, with the end of its
    /// log.</summary>
    public Task Running => _running;

    /// <summary>Returns when the process serves.</summary>
    /// <exception cref="InvalidOperationException">It does not get ready; see <see cref="Running"/>.</exception>
    public Task ReadyAsync(CancellationToken cancellation) => LifeAsync(cancellation);

    /// <summary>Ends the serving process as a power cut would. Returns when it is gone; it is started again.</summary>
    public async Task KillAsync(CancellationToken cancellation)
    {
        var life = await LifeAsync(cancellation);
        try
        {
            life.Process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It was faster.
        }

        await life.Gone.Task.WaitAsync(cancellation);
    }

    /// <summary>Asks the process to end, and returns when it has; after 40 s it is killed.</summary>
    public async ValueTask DisposeAsync()
    {
        _stopping = true;
        try
        {
            Volatile.Read(ref _process)?.StandardInput.Close();
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            // It is gone already.
        }

        try
        {
            await _running.WaitAsync(StopPatience);
        }
        catch (TimeoutException)
        {
            Volatile.Read(ref _process)?.Kill();
            await _running;
        }
        catch (InvalidOperationException)
        {
            // Whoever waited for it to get ready knows.
        }

        await _log.DisposeAsync();
    }

    private static ProcessStartInfo ThisProgram(string[] arguments)
    {
        var program = Environment.ProcessPath!;
        // dotnet Actors.Orders.dll: the program is dotnet's first argument.
        string[] all = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [Environment.GetCommandLineArgs()[0], .. arguments] : arguments;
        return new ProcessStartInfo(program, all)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            CreateNoWindow = true,
        };
    }

    private async Task<Life> LifeAsync(CancellationToken cancellation)
    {
        var ready = Volatile.Read(ref _ready).Task;
        await (await Task.WhenAny(ready, _running)).WaitAsync(cancellation);
        return await ready.WaitAsync(cancellation);
    }

    private async Task RunAsync()
    {
        for (var starts = 1; !_stopping; starts++)
        {
            using var process = Process.Start(_start)!;
            Volatile.Write(ref _process, process);
            _state.Started(_name, process);
            if (_stopping)
            {
                process.StandardInput.Close();
            }

            var life = new Life(process, new(TaskCreationOptions.RunContinuationsAsynchronously));
            Guid? serving = null;
            await Task.WhenAll(
                PumpAsync(process.StandardOutput, id => Serves(life, serving = id)), PumpAsync(process.StandardError, _ => { }), process.WaitForExitAsync());
            _state.Ended(_name);
            _log.WriteLine($"Ended with code {process.ExitCode}.");
            if (serving is { } id && !_stopping)
            {
                await _died(id);
                Volatile.Write(ref _ready, new(TaskCreationOptions.RunContinuationsAsynchronously));
                starts = 0;
            }
            else if (starts == StartsMax && !_stopping)
            {
                throw new InvalidOperationException($"{_name} does not start; {LogFile} ends with:\n{string.Join('\n', _tail)}");
            }

            life.Gone.SetResult();
        }
    }

    private void Serves(Life life, Guid? id)
    {
        _state.Serves(_name, id!.Value);
        Volatile.Read(ref _ready).TrySetResult(life);
    }

    private async Task PumpAsync(StreamReader output, Action<Guid> ready)
    {
        while (await output.ReadLineAsync() is { } line)
        {
            if (line.Split(' ') is ["READY", var id, ..] && Guid.TryParse(id, out var guid))
            {
                ready(guid);
            }

            lock (_tail)
            {
                _log.WriteLine(line);
                _tail.Enqueue(line);
                if (_tail.Count > TailMax)
                {
                    _tail.Dequeue();
                }
            }
        }
    }

    /// <summary>One process between its start and its end.</summary>
    private sealed record Life(Process Process, TaskCompletionSource Gone);
}
