using System.Diagnostics;
using Actors.Storage;
using Microsoft.Extensions.Logging;

namespace Actors.Housekeeping;

/// <summary>
/// Deletes runs that ended longer ago than they are kept for: journal, undelivered letters and row, in one transaction a batch. A run of
/// which a message is still to be delivered, or is a dead letter, stays. Batches are small, and a pause as long as each follows it: the hot
/// path hardly notices.
/// </summary>
/// <param name="keepIds">How long the ids that a run took are remembered at least, while its workflow has a run.</param>
internal sealed partial class Retention(
    EngineDatabase database, PartitionSet partitions, TimeSpan? keep, TimeSpan keepIds, ILogger<Retention> log)
{
    private readonly EndedRuns _ended = new(database);

    /// <summary>Runs of a batch, at most.</summary>
    public int BatchRuns { get; init; } = 500;

    /// <summary>Journal rows of a batch, unless one run has more.</summary>
    public int BatchRows { get; init; } = 10_000;

    /// <summary>Passes until it is stopped, in the silo that holds the first partition; nothing where runs are kept for ever. Postgres may
    /// come and go meanwhile.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        var failures = 0;
        while (keep is { } age && !stop.IsCancellationRequested)
        {
            var pause = TimeSpan.FromSeconds(Math.Clamp(age.TotalSeconds / 10, 1, 60));
            try
            {
                var deleted = Array.IndexOf(partitions.Partitions, (short)0) < 0 ? 0 : await PassAsync(stop);
                failures = 0;
                if (deleted > 0)
                {
                    LogDeleted(deleted, age);
                }
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                LogFailed(++failures, error);
                pause = PostgresFaults.Pause(failures);
            }

            await Task.Delay(pause, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Deletes all that is old enough now. Returns how many runs.</summary>
    public async Task<long> PassAsync(CancellationToken stop)
    {
        var (pending, until) = await _ended.FindPendingAsync(keep!.Value, stop);
        var (deleted, at) = (0L, (Ended: DateTime.MinValue, Instance: 0L));
        while (true)
        {
            var watch = Stopwatch.StartNew();
            var batch = await _ended.DeleteAsync(pending, until, at, BatchRuns, BatchRows, keepIds, stop);
            if (batch is not { } done)
            {
                return deleted;
            }

            deleted += done.Deleted;
            at = (done.Ended, done.Instance);
            await Task.Delay(watch.Elapsed, stop);
        }
    }

    [LoggerMessage(411, LogLevel.Information, "{Deleted} runs that ended more than {Keep} ago were deleted.")]
    private partial void LogDeleted(long deleted, TimeSpan keep);

    [LoggerMessage(412, LogLevel.Warning, "Deleting ended runs failed {Failures} time(s) in a row; it goes on.")]
    private partial void LogFailed(int failures, Exception error);
}
