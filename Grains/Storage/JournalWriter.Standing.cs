using Microsoft.Extensions.Logging;
using Npgsql;

namespace Actors.Storage;

internal sealed partial class JournalWriter
{
    private static readonly string ResolveEntries = SqlText.Get("resolve_entries");

    private readonly record struct Standing(int Epoch, int Position, DateTimeOffset Now, bool Mail, DateTimeOffset At, bool Left);

    /// <summary>What became of a body's transaction: committed, unmoved, or fenced. Its epoch is raised first, so that a COMMIT still on its
    /// way can no longer succeed.</summary>
    internal async Task<CommitReply> ResolveAsync(Entry entry)
    {
        var standing = await StandingAsync([entry], raise: true);
        return !standing.TryGetValue(entry.Instance, out var found) || (found.Position != entry.Next && found.Position != entry.Position)
            ? new CommitReply(CommitOutcome.Fenced, default, entry.Epoch)
            : found.Position == entry.Next
                ? new CommitReply(CommitOutcome.Committed, found.At, found.Epoch)
                : new CommitReply(CommitOutcome.Unmoved, default, found.Epoch);
    }

    /// <summary>Where the runs of these entries stand, asked until the database answers. A run of another owner is missing.</summary>
    private async Task<Dictionary<long, Standing>> StandingAsync(IReadOnlyList<Entry> entries, bool raise)
    {
        // Repeating it is safe only while the epochs that it raises from are known: a try whose answer was lost may have raised them,
        // so each try also accepts an epoch that is higher by the tries before it.
        var epochs = entries.Select(e => e.Epoch).ToArray();
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await ReadStandingAsync(entries, epochs, raise, tries);
            }
            catch (Exception error) // Also what Npgsql throws that is no NpgsqlException: the lane that waits for this would be lost with it.
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

    private ValueTask<Dictionary<long, Standing>> ReadStandingAsync(IReadOnlyList<Entry> entries, int[] epochs, bool raise, int tries) =>
        _database.QueryAsync(
            _database.Patient,
            "resolve",
            batch => GroupBatch.Statement(
                batch,
                ResolveEntries,
                new NpgsqlParameter<long[]> { TypedValue = [.. entries.Select(e => e.Instance)] },
                new NpgsqlParameter<int[]> { TypedValue = epochs },
                new NpgsqlParameter<int> { TypedValue = raise ? tries : 1 },
                new NpgsqlParameter<bool> { TypedValue = raise },
                new NpgsqlParameter<Guid> { TypedValue = _database.Silo },
                new NpgsqlParameter<bool[]> { TypedValue = [.. entries.Select(e => e.Leaves)] }),
            async reader =>
            {
                var found = new Dictionary<long, Standing>();
                while (await reader.ReadAsync())
                {
                    found[reader.GetInt64(0)] = new Standing(
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
