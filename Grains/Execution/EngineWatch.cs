using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>Looks four times a second for bodies whose time is up and for statements that Postgres has not answered, and once a second for
/// sessions that it has ended.</summary>
internal sealed partial class EngineWatch : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    private readonly WorkflowEngine _engine;
    private readonly ILogger _log;
    private readonly ITimer _timer;
    private int _reads;
    private bool _silent;
    private int _checking;

    public EngineWatch(WorkflowEngine engine, ILogger log)
    {
        (_engine, _log) = (engine, log);
        using var nothing = ExecutionContext.SuppressFlow();
        _timer = engine.Context.Time.CreateTimer(_ => CheckAll(), null, Interval, Interval);
    }

    public void Dispose() => _timer.Dispose();

    private void CheckAll()
    {
        try
        {
            foreach (var run in _engine.Residents)
            {
                run.Effects.CheckAttempts();
            }

            var silence = _engine.Context.Database.Probe.Silence;
            if (silence is not null && !_silent)
            {
                LogSilence(silence);
            }

            _silent = silence is not null;
        }
        catch (Exception error)
        {
            LogFailed(error.Message); // In a quarter of a second once more.
        }

        if (Interlocked.Increment(ref _reads) % 4 == 0 && Interlocked.Exchange(ref _checking, 1) == 0)
        {
            _ = CheckSessionsAsync();
        }
    }

    private async Task CheckSessionsAsync()
    {
        try
        {
            await _engine.Context.Sessions.CheckAsync();
        }
        catch (Exception error)
        {
            LogFailed(error.Message); // In a second once more.
        }
        finally
        {
            Volatile.Write(ref _checking, 0);
        }
    }

    [LoggerMessage(513, LogLevel.Warning, "{Silence}")]
    private partial void LogSilence(string silence);

    [LoggerMessage(512, LogLevel.Warning, "What is under way cannot be looked at now: {Reason}")]
    private partial void LogFailed(string reason);
}
