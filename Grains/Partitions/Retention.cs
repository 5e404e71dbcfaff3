using System.Diagnostics;
using Actors.Storage;
using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;

namespace Actors.Partitions;

/// <summary>
/// Deletes runs that ended longer ago than they are kept for: journal, undelivered mail and row, in one transaction a batch. A run of which
/// a message is still to be delivered, or is a dead letter, stays. Batches are small, and a pause as long as each follows it: the hot path
/// hardly notices.
/// </summary>
/// <param name="keepIds">How long the ids that a run took are remembered at least, while its workflow has a run.</param>
internal sealed partial class Retention(
    EngineDatabase database, PartitionSet partitions, TimeSpan? keep, TimeSpan keepIds, ILogger<Retention> log)
{
    private const int PendingMax = 100_000;

    // A message of a run's last entry is younger than the run's end by less than this.
    private static readonly TimeSpan Slack = TimeSpan.FromMinutes(1);
    private static readonly string FindPending = SqlText.Get("find_pending");
    private static readonly string DeleteEnded = SqlText.Get("delete_ended");

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
        var (pending, until) = await PendingAsync(stop);
        var (deleted, at) = (0L, (Ended: DateTime.MinValue, Instance: 0L));
        while (true)
        {
            var watch = Stopwatch.StartNew();
            var batch = await DeleteAsync(pending, until, at, stop);
            if (batch is not { } done)
            {
                return deleted;
            }

            deleted += done.Deleted;
            at = (done.Ended, done.Instance);
            await Task.Delay(watch.Elapsed, stop);
        }
    }

    /// <summary>The runs that wait for their messages, and the end of this pass: with very many of them, later runs wait as well.</summary>
    private ValueTask<(long[] Instances, DateTime Until)> PendingAsync(CancellationToken stop) => database.QueryAsync(
        database.Slow,
        "find pending",
        batch => batch.Add(FindPending, Interval(keep!.Value), new NpgsqlParameter<int> { TypedValue = PendingMax }, Interval(Slack)),
        async reader =>
        {
            var (instances, rows, until, last) = (new HashSet<long>(), 0, DateTime.MinValue, DateTime.MaxValue);
            while (await reader.ReadAsync(stop))
            {
                until = reader.GetTime(0).UtcDateTime;
                if (!reader.IsDBNull(1))
                {
                    instances.Add(reader.GetInt64(1));
                    (last, rows) = (reader.GetTime(2).UtcDateTime, rows + 1);
                }
            }

            // Those that were not read are younger than the last one that was.
            return (instances.ToArray(), rows == PendingMax && last - Slack < until ? last - Slack : until);
        },
        stop);

    private ValueTask<(long Deleted, DateTime Ended, long Instance)?> DeleteAsync(
        long[] pending, DateTime until, (DateTime Ended, long Instance) after, CancellationToken stop) =>
            database.QueryAsync<(long, DateTime, long)?>(
        database.Slow,
        "delete ended",
        batch => batch.Add(
            DeleteEnded,
            Time(until),
            new NpgsqlParameter<long[]> { TypedValue = pending },
            Time(after.Ended),
            new NpgsqlParameter<long> { TypedValue = after.Instance },
            new NpgsqlParameter<int> { TypedValue = BatchRuns },
            new NpgsqlParameter<int> { TypedValue = BatchRows },
            Interval(keepIds)),
        async reader => await reader.ReadAsync(stop) ? (reader.GetInt64(0), reader.GetTime(1).UtcDateTime, reader.GetInt64(2)) : null,
        stop);

    private static NpgsqlParameter<TimeSpan> Interval(TimeSpan value) => new() { TypedValue = value, NpgsqlDbType = NpgsqlDbType.Interval };

    // DateTime.MinValue is Postgres' -infinity.
    private static NpgsqlParameter<DateTime> Time(DateTime value) =>
        new() { TypedValue = DateTime.SpecifyKind(value, DateTimeKind.Utc), NpgsqlDbType = NpgsqlDbType.TimestampTz };

    [LoggerMessage(411, LogLevel.Information, "{Deleted} runs that ended more than {Keep} ago were deleted.")]
    private partial void LogDeleted(long deleted, TimeSpan keep);

    [LoggerMessage(412, LogLevel.Warning, "Deleting ended runs failed {Failures} time(s) in a row; it goes on.")]
    private partial void LogFailed(int failures, Exception error);
}
