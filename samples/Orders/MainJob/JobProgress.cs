using System.Diagnostics;

namespace Actors.Orders.MainJob;

/// <summary>
/// How far the job is: a bar on a terminal, elsewhere a line every five seconds. Everything that the job says while it runs goes through
/// here, so that bar and lines do not run into each other.
/// </summary>
internal sealed class JobProgress(int total, TextWriter output, bool terminal)
{
    private const int BarWidth = 40;
    private static readonly TimeSpan LineEvery = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DrawEvery = TimeSpan.FromMilliseconds(200);

    private readonly Lock _lock = new();
    private readonly Stopwatch _time = Stopwatch.StartNew();
    private TaskCompletionSource _moved = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _completed;
    private int _ended;
    private bool _drawn;

    public int EndedCount => Volatile.Read(ref _ended);

    public void Ended(bool completed)
    {
        TaskCompletionSource moved;
        lock (_lock)
        {
            _ended++;
            _completed += completed ? 1 : 0;
            (moved, _moved) = (_moved, new(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        moved.SetResult();
    }

    /// <summary>Returns when this many orders have ended.</summary>
    public async Task ReachedAsync(int count, CancellationToken cancellation)
    {
        while (true)
        {
            Task moved;
            lock (_lock)
            {
                if (_ended >= count)
                {
                    return;
                }

                moved = _moved.Task;
            }

            await moved.WaitAsync(cancellation);
        }
    }

    public void Say(string line)
    {
        lock (_lock)
        {
            output.WriteLine(_drawn ? $"\r{line.PadRight(BarWidth + 60)}" : line);
            _drawn = false;
        }
    }

    /// <summary>Shows the progress until cancelled, then once more, and leaves the line.</summary>
    public async Task ShowAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(terminal ? DrawEvery : LineEvery);
        try
        {
            do
            {
                Show();
            }
            while (await timer.WaitForNextTickAsync(stop));
        }
        catch (OperationCanceledException)
        {
            Show();
            lock (_lock)
            {
                output.Write(_drawn ? Environment.NewLine : "");
                _drawn = false;
            }
        }
    }

    private void Show()
    {
        lock (_lock)
        {
            var text = $"{_ended}/{total} orders ended, {_completed} completed, {_time.Elapsed.TotalSeconds:0} s";
            if (terminal)
            {
                var filled = total == 0 ? BarWidth : (int)((long)BarWidth * _ended / total);
                output.Write($"\r[{new string('#', filled).PadRight(BarWidth, '.')}] {text}");
                _drawn = true;
            }
            else
            {
                output.WriteLine(text);
            }

            output.Flush();
        }
    }
}
