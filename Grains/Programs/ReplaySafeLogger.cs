using Actors.Calling;
using Microsoft.Extensions.Logging;

namespace Actors.Programs;

/// <summary>The logger of a workflow's code: silent while it is replayed, and outside of the turn, since a provider may await.</summary>
internal sealed class ReplaySafeLogger(ILogger inner, WorkflowProgram code) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
    {
        using var outside = OutsideTurn.Begin();
        return inner.BeginScope(state);
    }

    public bool IsEnabled(LogLevel logLevel)
    {
        using var outside = OutsideTurn.Begin();
        return !code.IsReplaying && inner.IsEnabled(logLevel);
    }

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!code.IsReplaying)
        {
            using var outside = OutsideTurn.Begin();
            inner.Log(logLevel, eventId, state, exception, formatter);
        }
    }
}
