using Actors.Calling;
using Actors.Storage;
using Microsoft.Extensions.Logging;

namespace Actors.Outbox;

/// <summary>
/// Delivers every message of a committed entry at least once, first deliveries of a lane (destination and key; without a key, destination
/// and run) in order, for the partitions of lanes that it is given. Destinations run apart from each other; this class only wakes them.
/// </summary>
internal sealed partial class OutboxRelay
{
    private const int RedriveBatch = 1_000;

    private readonly OutboxTable _table;
    private readonly OutboxOptions _options;
    private readonly Func<short[]> _partitions;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly DestinationRelay[] _destinations;

    /// <param name="partitions">Asked before each read; empty: nothing is read. The arrays are not changed after they were
    /// returned.</param>
    public OutboxRelay(
        OutboxTable table, IEnumerable<OutboxRoute> routes, PayloadSerializer serializer,
        OutboxOptions options, Func<short[]> partitions, TimeProvider time, ILogger<OutboxRelay> logger)
    {
        (_table, _options, _partitions, _time, _logger) = (table, options, partitions, time, logger);
        _destinations = [.. routes.Select(route =>
            new DestinationRelay(route, _table, serializer, options, partitions, time, logger))];
    }

    /// <summary>Ends soon after <paramref name="stop"/>: deliveries that run are cancelled, what was acknowledged is deleted if that takes
    /// less than a second. Never throws for the database or a sink: waits, and goes on by itself.</summary>
    public Task RunAsync(CancellationToken stop) => _destinations.Length == 0
        ? Task.CompletedTask
        : Task.WhenAll(_destinations.Select(destination => Task.Run(() => destination.RunAsync(stop), CancellationToken.None)).Append(
            PollAsync(stop)));

    /// <summary>Costs next to nothing and never waits. Call it after each commit with messages.</summary>
    public void Wake()
    {
        foreach (var destination in _destinations)
        {
            destination.Wake();
        }
    }

    /// <summary>Moves all dead letters of a destination back, in order and with all their attempts before them; returns how many. Each goes
    /// behind what its lane holds now. A thousand a commit: after an error those before it have moved.</summary>
    public async Task<int> RedriveAsync(string destination, CancellationToken cancellation = default)
    {
        NameRule.Checked(destination, "The name of an outbox destination", OutboxRoutes.DestinationMax);
        for (var total = 0; ;)
        {
            var moved = await _table.RedriveAsync(destination, RedriveBatch, cancellation);
            total += moved;
            Wake();
            if (moved < RedriveBatch)
            {
                return total;
            }
        }
    }

    // The safety net below the wakes and timers: finds what other processes committed or left behind, and partitions that came.
    private async Task PollAsync(CancellationToken stop)
    {
        string[] names = [.. _destinations.Select(destination => destination.Name)];
        while (!stop.IsCancellationRequested)
        {
            try
            {
                if (_partitions().Length > 0)
                {
                    await ReadPendingAsync(names, stop);
                }
            }
            catch (Exception error) when (!stop.IsCancellationRequested)
            {
                LogPollFailed(_logger, _options.PollInterval, error);
                Array.ForEach(_destinations, destination => destination.Floor.Forget());
            }
            catch (Exception)
            {
                return;   // whatever the cancelled statement threw
            }

            await Task.Delay(_options.PollInterval, _time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ReadPendingAsync(string[] names, CancellationToken stop)
    {
        var begun = _destinations.Select(destination => destination.Floor.BeginRead()).ToArray();
        foreach (var look in await _table.ReadPendingAsync(names, [.. _destinations.Select(destination => destination.Floor.Value)], stop))
        {
            var place = Array.IndexOf(names, look.Destination);
            _destinations[place].Floor.Observe(begun[place], look);
            if (look.Fresh)
            {
                _destinations[place].Wake();
            }

            if (look.Due)
            {
                _destinations[place].ReadRetries();
            }
        }
    }

    [LoggerMessage(5001, LogLevel.Warning, "The outbox could not be polled; again in {Interval}.")]
    private static partial void LogPollFailed(ILogger logger, TimeSpan interval, Exception error);
}
