using Npgsql;
using NpgsqlTypes;
using static Actors.Storage.BatchStatement;

namespace Actors.Storage;

/// <summary>The statements of retention: what each guarantees stands in its file.</summary>
internal sealed class EndedRuns(EngineDatabase database)
{
    private const int PendingMax = 100_000;

    // A message of a run's last entry is younger than the run's end by less than this.
    private static readonly TimeSpan Slack = TimeSpan.FromMinutes(1);
    private static readonly string FindPending = SqlText.Get("find_pending");
    private static readonly string DeleteEnded = SqlText.Get("delete_ended");

    /// <summary>The runs that wait for their messages, and the end of this pass: with very many of them, later runs wait as well.</summary>
    public ValueTask<(long[] Instances, DateTime Until)> FindPendingAsync(TimeSpan keep, CancellationToken stop) => database.QueryAsync(
        database.Slow,
        "find pending",
        batch => batch.Add(FindPending, Interval(keep), new NpgsqlParameter<int> { TypedValue = PendingMax }, Interval(Slack)),
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

    /// <summary>One batch of those behind <paramref name="after"/>; null: there are no more.</summary>
    /// <param name="runsMax">Runs of a batch.</param>
    /// <param name="rowsMax">Journal rows of a batch, unless one run has more.</param>
    public ValueTask<(long Deleted, DateTime Ended, long Instance)?> DeleteAsync(
        long[] pending, DateTime until, (DateTime Ended, long Instance) after, int runsMax, int rowsMax, TimeSpan keepIds,
        CancellationToken stop) => database.QueryAsync<(long, DateTime, long)?>(
        database.Slow,
        "delete ended",
        batch => batch.Add(
            DeleteEnded,
            Time(until),
            new NpgsqlParameter<long[]> { TypedValue = pending },
            Time(after.Ended),
            new NpgsqlParameter<long> { TypedValue = after.Instance },
            new NpgsqlParameter<int> { TypedValue = runsMax },
            new NpgsqlParameter<int> { TypedValue = rowsMax },
            Interval(keepIds)),
        async reader => await reader.ReadAsync(stop) ? (reader.GetInt64(0), reader.GetTime(1).UtcDateTime, reader.GetInt64(2)) : null,
        stop);

    // DateTime.MinValue is Postgres' -infinity.
    private static NpgsqlParameter<DateTime> Time(DateTime value) =>
        new() { TypedValue = DateTime.SpecifyKind(value, DateTimeKind.Utc), NpgsqlDbType = NpgsqlDbType.TimestampTz };
}
