using Microsoft.Extensions.Logging;
using Npgsql;

namespace Actors.Storage;

/// <summary>The truth about what was sent and not answered, from the database.</summary>
internal sealed partial class JournalWriter
{
    private static readonly string ResolveEntries = SqlText.Get("resolve_entries");

    private readonly record struct RunState(int Epoch, int Position, DateTimeOffset Now, bool HasLetters, DateTimeOffset At, bool Left);

    /// <summary>
    /// Asks the database where each run stands. With <paramref name="raise"/> the epochs are raised first, so that a COMMIT still on its
    /// way can no longer succeed: what has advanced is committed, the rest goes again under the new epoch.
    /// </summary>
    private async Task<List<PendingCommit>> ResolveAsync(List<PendingCommit> group, bool raise)
    {
        var entries = group.Where(p => p.Entry is not null).GroupBy(p => p.Entry!.Instance, (_, same) => Latest(same)).ToList();
        var states = entries.Count == 0 ? [] : await RunStatesAsync([.. entries.Select(p => p.Entry!)], raise);

        // A start is idempotent as it is: its instance number is its own, so it goes again unchanged.
        var again = group.Where(p => p.Start is not null).ToList();
        if (raise && _closing.IsCancellationRequested)
        {
            again.ForEach(pending => pending.Complete(CommitOutcome.Fenced));
            again.Clear();
        }

        foreach (var pending in entries)
        {
            var entry = pending.Entry!;
            if (!states.TryGetValue(entry.Instance, out var found))
            {
                pending.Complete(CommitOutcome.Fenced);
            }
            else if (raise && found.Position == entry.Next && (entry.Rows.Count > 0 || (entry.Leaves && found.Left)))
            {
                OutboxWritten?.Invoke();
                pending.Complete(new CommitReply(CommitOutcome.Committed, found.At, found.Epoch));
            }
            else if (found.Position != entry.Position)
            {
                pending.Complete(CommitOutcome.Fenced);
            }
            else if (entry.Ends && found.HasLetters)
            {
                pending.Complete(new CommitReply(CommitOutcome.Letters, found.Now, found.Epoch));
            }
            else if (entry.NotBefore > found.Now)
            {
                pending.Complete(new CommitReply(CommitOutcome.Early, found.Now, found.Epoch));
            }
            else
            {
                entry.Epoch = found.Epoch;
                again.Add(pending);
            }
        }

        return again;
    }

    /// <summary>Of a run that this silo has claimed anew the former object may have submitted an entry, too: it has another owner
    /// now.</summary>
    private static PendingCommit Latest(IEnumerable<PendingCommit> ofOneRun)
    {
        var latest = ofOneRun.MaxBy(p => p.Entry!.Epoch)!;
        foreach (var former in ofOneRun.Where(other => other != latest))
        {
            former.Complete(CommitOutcome.Fenced);
        }

        return latest;
    }

    /// <summary>What became of a body's transaction: committed, unmoved, or fenced. Its epoch is raised first, so that a COMMIT still on
    /// its way can no longer succeed.</summary>
    internal async Task<CommitReply> ResolveAsync(Entry entry)
    {
        var states = await RunStatesAsync([entry], raise: true);
        return !states.TryGetValue(entry.Instance, out var found) || (found.Position != entry.Next && found.Position != entry.Position)
            ? new CommitReply(CommitOutcome.Fenced, default, entry.Epoch)
            : found.Position == entry.Next
                ? new CommitReply(CommitOutcome.Committed, found.At, found.Epoch)
                : new CommitReply(CommitOutcome.Unmoved, default, found.Epoch);
    }

    /// <summary>Where the runs of these entries stand, asked until the database answers. A run of another owner is missing.</summary>
    private async Task<Dictionary<long, RunState>> RunStatesAsync(IReadOnlyList<Entry> entries, bool raise)
    {
        // Repeating it is safe only while the epochs that it raises from are known: a try whose answer was lost may have raised them,
        // so each try also accepts an epoch that is higher by the tries before it.
        var epochs = entries.Select(e => e.Epoch).ToArray();
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await ReadRunStatesAsync(entries, epochs, raise, tries);
            }
            // Also what Npgsql throws that is no NpgsqlException: the slot that waits for this would be lost with it.
            catch (Exception error)
            {
                if (_closing.IsCancellationRequested && (error is not NpgsqlException || PostgresFaults.IsUnreachable(error)))
                {
                    return [];
                }

                LogUnresolved(tries, error.Message);
                await Task.Delay(PostgresFaults.Pause(tries));
            }
        }
    }

    [LoggerMessage(105, LogLevel.Warning, "The database has not told yet what became of a commit (try {Try}): {Reason}")]
    private partial void LogUnresolved(int @try, string reason);

    private ValueTask<Dictionary<long, RunState>> ReadRunStatesAsync(IReadOnlyList<Entry> entries, int[] epochs, bool raise, int tries) =>
        _database.QueryAsync(
            _database.Patient,
            "resolve",
            batch => batch.Add(
                ResolveEntries,
                new NpgsqlParameter<long[]> { TypedValue = [.. entries.Select(e => e.Instance)] },
                new NpgsqlParameter<int[]> { TypedValue = epochs },
                new NpgsqlParameter<int> { TypedValue = raise ? tries : 1 },
                new NpgsqlParameter<bool> { TypedValue = raise },
                new NpgsqlParameter<Guid> { TypedValue = _database.Silo },
                new NpgsqlParameter<bool[]> { TypedValue = [.. entries.Select(e => e.Leaves)] }),
            async reader =>
            {
                var found = new Dictionary<long, RunState>();
                while (await reader.ReadAsync())
                {
                    found[reader.GetInt64(0)] = new RunState(
                        reader.GetInt32(1),
                        reader.GetInt32(2),
                        reader.GetTime(3),
                        reader.GetBoolean(4),
                        reader.IsDBNull(5) ? default : reader.GetTime(5),
                        reader.GetBoolean(6));
                }

                return found;
            });
}
