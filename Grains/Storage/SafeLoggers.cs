using Microsoft.Extensions.Logging;

namespace Actors.Storage;

/// <summary>
/// The host's loggers, of which none throws: a provider whose disk is full, or that cannot describe what it is given, loses its line. The
/// engine logs where nobody could catch what a logger throws: between a failure and its record, in timers, and in its loops' catches.
/// </summary>
internal sealed class SafeLoggers(ILoggerFactory host) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) => new Safe(host.CreateLogger(categoryName));

    public void AddProvider(ILoggerProvider provider) => host.AddProvider(provider);

    /// <summary>It is the host's.</summary>
    public void Dispose()
    {
    }

    private sealed class Safe(ILogger log) : ILogger
    {
        public bool IsEnabled(LogLevel logLevel)
        {
            try
            {
                return log.IsEnabled(logLevel);
            }
            catch (Exception)
            {
                return false;
            }
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull
        {
            try
            {
                return log.BeginScope(state);
            }
            catch (Exception)
            {
                return null;
            }
        }

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            try
            {
                log.Log(logLevel, eventId, state, exception, formatter);
            }
            catch (Exception)
            {
                // Where would one say so?
            }
        }
    }
}
