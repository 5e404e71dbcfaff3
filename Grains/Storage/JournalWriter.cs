using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Actors.Storage;

/// <summary>
/// Commits entries and starts, those that are ready together in one transaction and one round trip. Every reply is the truth of the
/// database: an unknown outcome is resolved before anyone is told.
/// </summary>
internal sealed partial class JournalWriter : IAsyncDisposable
{
    /// <summary>A group takes no further member once its payloads are this large: memory here and in the server is bounded by it and one entry.</summary>
    private const int GroupBytesMax = 16 * 1024 * 1024;

    private readonly EngineDatabase _database;
    private readonly ILogger<JournalWriter> _log;
    private readonly Grouping<Member> _groups;
    private readonly ConcurrentDictionary<Task, bool> _alone = new();
    private readonly CancellationTokenSource _closing = new();
    private long _groupsCommitted;

    public JournalWriter(EngineDatabase database, int lanes, int groupSizeMax, ILogger<JournalWriter> log)
    {
        (_database, _log) = (database, log);
        _groups = new Grouping<Member>(lanes, groupSizeMax, CommitAsync, member => member.Answer(alone: false))
        {
            Weigh = member => member.Size, WeightMax = GroupBytesMax, Own = BlockingSocket.IsPossible ? new OwnThread("journal") : null,
        };
    }

    /// <summary>Transactions that this writer committed.</summary>
    public long GroupsCommitted => Interlocked.Read(ref _groupsCommitted);

    /// <summary>Called after a group with messages has committed, and after a Transaction with some.</summary>
    public Action? OutboxWritten { get; set; }

    /// <param name="reply">Called once, when the outcome is certain. Others may wait for it, some milliseconds at most.</param>
    public void Submit(Entry entry, Action<CommitReply> reply)
    {
        if (!_groups.TryAdd(new Member(entry, null, reply)))
        {
            reply(new CommitReply(CommitOutcome.Fenced, default, entry.Epoch));
        }
    }

    /// <summary>Committed when this call made the run; Fenced when the id is taken. Completes as a reply of <see cref="Submit"/> comes.</summary>
    public Task<CommitReply> StartAsync(Start start)
    {
        var done = new TaskCompletionSource<CommitReply>();
        return _groups.TryAdd(new Member(null, start, done.SetResult))
            ? done.Task
            : throw new WorkflowUnavailableException("This silo is shutting down: repeat the start with the same id.");
    }

    /// <summary>Ends when the outcome of everything that was submitted is certain; the last replies may still be under way. From now on
    /// a database that is away is not waited for: what cannot be resolved is answered as fenced, since this owner will write no more, and whoever comes
    /// after finds the truth.</summary>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _groups.DisposeAsync();
        await Task.WhenAll(_alone.Keys);
    }

    private async Task CommitAsync(List<Member> group)
    {
        group = [.. group]; // The lane answers its own list.
        for (var tries = 1; group.Count > 0; tries++)
        {
            group = await TryAsync(group, tries);
        }
    }

    /// <summary>One try. Answers the members whose outcome is certain and returns those to send again.</summary>
    private async Task<List<Member>> TryAsync(List<Member> group, int tries)
    {
        try
        {
            await SendAsync(group);
            return [];
        }
        catch (PostgresException error) when (error.SqlState == PostgresFaults.FenceFailed)
        {
            return await ResolveAsync(group, raise: false);
        }
        catch (PostgresException error) when (error.SqlState == PostgresFaults.SiloIsDead)
        {
            return RefuseStarts(group, error);
        }
        catch (PostgresException error) when (PostgresFaults.IsCertainAbort(error))
        {
            return await DivideAsync(group, error);
        }
        catch (Exception error) when (PostgresFaults.IsUnsendable(error))
        {
            return await DivideAsync(group, error);
        }
        catch (Exception error)
        {
            LogUnknownOutcome(group.Count, error);
            await Task.Delay(tries == 1 ? TimeSpan.Zero : PostgresFaults.Pause(tries));
            return await ResolveAsync(group, raise: true);
        }
    }

    /// <param name="source">Null: a connection for groups.</param>
    private async Task SendAsync(List<Member> group, NpgsqlDataSource? source = null)
    {
        var starts = group.Where(m => m.Start is not null)
            .OrderBy(m => m.Start!.Id.Namespace, StringComparer.Ordinal).ThenBy(m => m.Start!.Id.Id, StringComparer.Ordinal).ToList();
        var entries = group.Where(m => m.Entry is not null).OrderBy(m => m.Entry!.Instance).ToList();
        var made = new Dictionary<long, DateTimeOffset>();
        var at = DateTimeOffset.MinValue;
        await (source is null ? _database.CommitGroupAsync(Build, ReadAsync) : _database.CommitAsync(source, Build, ReadAsync));
        Interlocked.Increment(ref _groupsCommitted);
        if (entries.Any(m => m.Entry!.Outbox.Count > 0))
        {
            OutboxWritten?.Invoke();
        }

        foreach (var member in starts)
        {
            member.Settle(made.TryGetValue(member.Start!.Instance, out var startedAt)
                ? new CommitReply(CommitOutcome.Committed, startedAt, 1)
                : new CommitReply(CommitOutcome.Fenced, default, 0));
        }

        foreach (var member in entries)
        {
            member.Settle(new CommitReply(CommitOutcome.Committed, at, member.Entry!.Epoch));
        }

        void Build(NpgsqlBatch batch)
        {
            if (starts.Count > 0)
            {
                GroupBatch.AddStarts(batch, [.. starts.Select(m => m.Start!)], _database.Silo);
            }

            if (entries.Count > 0)
            {
                GroupBatch.AddEntries(batch, [.. entries.Select(m => m.Entry!)], _database.Silo);
            }
        }

        async Task<bool> ReadAsync(NpgsqlDataReader reader)
        {
            // Told apart by their columns: the starts return two, append_journal one time, the fence one number.
            do
            {
                while (await reader.ReadAsync())
                {
                    if (reader.FieldCount == 2 && !reader.IsDBNull(1))
                    {
                        made[reader.GetInt64(0)] = reader.GetTime(1);
                    }
                    else if (reader.GetFieldType(0) == typeof(DateTime))
                    {
                        at = reader.GetTime(0);
                    }
                }
            }
            while (await reader.NextResultAsync());
            return true;
        }
    }

    /// <summary>A silo that was declared dead starts nothing more. Returns the entries, which have fences of their own.</summary>
    private static List<Member> RefuseStarts(List<Member> group, PostgresException error)
    {
        group.Where(m => m.Start is not null).ToList().ForEach(m => m.Settle(new CommitReply(CommitOutcome.Rejected, default, 0, error)));
        return [.. group.Where(m => m.Start is null)];
    }

    /// <summary>A group that the database refused holds an offender: halve it until the offender is alone.</summary>
    private async Task<List<Member>> DivideAsync(List<Member> group, Exception error)
    {
        if (group.Count == 1)
        {
            // Alone, it may wait as long as it must, on another connection, and nobody waits for it.
            group[0].IsAlone = true;
            var alone = AloneAsync(group[0], error);
            _alone.TryAdd(alone, true);
            _ = alone.ContinueWith(task => _alone.TryRemove(task, out _), TaskScheduler.Default);
            return [];
        }

        LogDivided(group.Count, error.Message);
        await CommitAsync(group[..(group.Count / 2)]);
        return group[(group.Count / 2)..];
    }

    private async Task AloneAsync(Member member, Exception error)
    {
        await Task.Yield(); // The lane does not wait for what the answer sets going.
        await SettleAloneAsync(member, error);
        member.Answer(alone: true);
    }

    private async Task SettleAloneAsync(Member member, Exception error)
    {
        List<Member> left = [member];
        for (var tries = 1; left.Count > 0; tries++)
        {
            if (error is not PostgresException refusal || !PostgresFaults.MayPass(refusal))
            {
                LogRejected(error.Message);
                member.Settle(new CommitReply(CommitOutcome.Rejected, default, member.Entry?.Epoch ?? 0, error));
                return;
            }

            LogWaitsAlone(error.Message);
            await Task.Delay(PostgresFaults.Pause(tries));
            try
            {
                await SendAsync(left, _database.Patient);
                return;
            }
            catch (PostgresException again) when (again.SqlState == PostgresFaults.SiloIsDead)
            {
                left = RefuseStarts(left, again);
            }
            catch (PostgresException again) when (PostgresFaults.IsCertainAbort(again) && again.SqlState != PostgresFaults.FenceFailed)
            {
                error = again;
            }
            catch (PostgresException again) when (again.SqlState == PostgresFaults.FenceFailed)
            {
                left = await ResolveAsync(left, raise: false);
            }
            catch (Exception)
            {
                left = await ResolveAsync(left, raise: true);
            }
        }
    }

    /// <summary>
    /// Asks the database where each run stands. With <paramref name="raise"/> the epochs are raised first, so that a COMMIT still on its
    /// way can no longer succeed: what has advanced is committed, the rest goes again under the new epoch.
    /// </summary>
    private async Task<List<Member>> ResolveAsync(List<Member> group, bool raise)
    {
        var entries = group.Where(m => m.Entry is not null).GroupBy(m => m.Entry!.Instance, (_, same) => Latest(same)).ToList();
        var standing = entries.Count == 0 ? [] : await StandingAsync([.. entries.Select(m => m.Entry!)], raise);

        // A start is idempotent as it is: its instance number is its own, so it goes again unchanged.
        var again = group.Where(m => m.Start is not null).ToList();
        if (raise && _closing.IsCancellationRequested)
        {
            again.ForEach(member => member.Settle(new CommitReply(CommitOutcome.Fenced, default, 0)));
            again.Clear();
        }

        foreach (var member in entries)
        {
            var entry = member.Entry!;
            if (!standing.TryGetValue(entry.Instance, out var found))
            {
                member.Settle(new CommitReply(CommitOutcome.Fenced, default, entry.Epoch));
            }
            else if (raise && found.Position == entry.Next && (entry.Rows.Count > 0 || (entry.Leaves && found.Left)))
            {
                OutboxWritten?.Invoke();
                member.Settle(new CommitReply(CommitOutcome.Committed, found.At, found.Epoch));
            }
            else if (found.Position != entry.Position)
            {
                member.Settle(new CommitReply(CommitOutcome.Fenced, default, entry.Epoch));
            }
            else if (entry.Ends && found.Mail)
            {
                member.Settle(new CommitReply(CommitOutcome.Letters, found.Now, found.Epoch));
            }
            else if (entry.NotBefore > found.Now)
            {
                member.Settle(new CommitReply(CommitOutcome.Early, found.Now, found.Epoch));
            }
            else
            {
                entry.Epoch = found.Epoch;
                again.Add(member);
            }
        }

        return again;
    }

    /// <summary>Of a run that this silo has claimed anew the former object may have submitted an entry, too: it has another owner now.</summary>
    private static Member Latest(IEnumerable<Member> ofOneRun)
    {
        var latest = ofOneRun.MaxBy(m => m.Entry!.Epoch)!;
        foreach (var former in ofOneRun.Where(m => m != latest))
        {
            former.Settle(new CommitReply(CommitOutcome.Fenced, default, former.Entry!.Epoch));
        }

        return latest;
    }

    private sealed class Member(Entry? entry, Start? start, Action<CommitReply> reply)
    {
        private CommitReply _outcome;

        public Entry? Entry { get; } = entry;

        public Start? Start { get; } = start;

        public int Size => Entry?.Size ?? Start!.Size;

        /// <summary>It left its group, and is answered apart from it.</summary>
        public bool IsAlone { get; set; }

        /// <summary>The outcome is certain. It is told by <see cref="Answer"/>.</summary>
        public void Settle(CommitReply outcome) => _outcome = outcome;

        public void Answer(bool alone)
        {
            if (alone == IsAlone)
            {
                reply(_outcome);
            }
        }
    }

    [LoggerMessage(101, LogLevel.Warning, "The outcome of a commit of {Count} entries is unknown; asking the database.")]
    private partial void LogUnknownOutcome(int count, Exception error);

    [LoggerMessage(102, LogLevel.Information, "A group of {Count} entries was refused ({Message}); dividing it.")]
    private partial void LogDivided(int count, string message);

    [LoggerMessage(104, LogLevel.Warning, "An entry cannot commit yet ({Message}); it is tried again, apart from the others.")]
    private partial void LogWaitsAlone(string message);

    [LoggerMessage(103, LogLevel.Error, "The database refuses an entry for good ({Message}).")]
    private partial void LogRejected(string message);
}
