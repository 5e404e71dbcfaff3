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
    /// <summary>A group takes no further member once its payloads are this large: memory here and in the server is bounded by it and one
    /// entry.</summary>
    private const int GroupBytesMax = 16 * 1024 * 1024;

    private readonly EngineDatabase _database;
    private readonly ILogger<JournalWriter> _log;
    private readonly SlotRunner<PendingCommit> _slots;
    private readonly ConcurrentDictionary<Task, bool> _apart = new();
    private readonly CancellationTokenSource _closing = new();
    private long _groupsCommitted;

    public JournalWriter(EngineDatabase database, int slots, int groupSizeMax, ILogger<JournalWriter> log)
    {
        (_database, _log) = (database, log);
        var queue = new GroupQueue<PendingCommit>(slots, groupSizeMax) { Weigh = pending => pending.Size, WeightMax = GroupBytesMax };
        _slots = new SlotRunner<PendingCommit>(queue, CommitAsync, pending => pending.Answer())
        {
            Own = BlockingSocket.IsPossible ? new OwnThread("journal") : null,
        };
    }

    /// <summary>Transactions that this writer committed.</summary>
    public long GroupsCommitted => Interlocked.Read(ref _groupsCommitted);

    /// <summary>Called after a group with messages has committed, and after a Transaction with some.</summary>
    public Action? OutboxWritten { get; set; }

    /// <param name="reply">Called once, when the outcome is certain. Others may wait for it, some milliseconds at most.</param>
    public void Submit(Entry entry, Action<CommitReply> reply)
    {
        if (!_slots.TryAdd(new PendingCommit(entry, null, reply)))
        {
            reply(new CommitReply(CommitOutcome.Fenced, default, entry.Epoch));
        }
    }

    /// <summary>Committed when this call made the run; Fenced when the id is taken. Completes as a reply of <see cref="Submit"/>
    /// comes.</summary>
    public Task<CommitReply> StartAsync(Start start)
    {
        var done = new TaskCompletionSource<CommitReply>();
        return _slots.TryAdd(new PendingCommit(null, start, done.SetResult))
            ? done.Task
            : throw new WorkflowUnavailableException("This silo is shutting down: repeat the start with the same id.");
    }

    /// <summary>Ends when the outcome of everything that was submitted is certain; the last replies may still be under way. From now on a
    /// database that is away is not waited for: what cannot be resolved is answered as fenced, since this owner will write no more, and
    /// whoever comes after finds the truth.</summary>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _slots.DisposeAsync();
        await Task.WhenAll(_apart.Keys);
    }

    private async Task CommitAsync(List<PendingCommit> group)
    {
        group = [.. group]; // The given list is read again by whoever answers its members.
        for (var tries = 1; group.Count > 0; tries++)
        {
            group = await TryAsync(group, tries);
        }
    }

    /// <summary>One try. Answers the members whose outcome is certain and returns those to send again.</summary>
    private async Task<List<PendingCommit>> TryAsync(List<PendingCommit> group, int tries)
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
        catch (PostgresException error) when (PostgresFaults.IsLocked(error) && group.Count > 1)
        {
            return Apart(group, () => FindWaitersAsync(group, error));
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
    private async Task SendAsync(List<PendingCommit> group, NpgsqlDataSource? source = null)
    {
        var starts = group.Where(p => p.Start is not null)
            .OrderBy(p => p.Start!.Id.Namespace, StringComparer.Ordinal).ThenBy(p => p.Start!.Id.Id, StringComparer.Ordinal).ToList();
        var entries = group.Where(p => p.Entry is not null).OrderBy(p => p.Entry!.Instance).ToList();
        var commit = new CommitBatch(
            [.. starts.Select(p => p.Start!)], [.. entries.Select(p => p.Entry!)], _database.Silo, _database.SiloNumber);
        await (source is null ? _database.CommitGroupAsync(commit.Write, commit.ReadAsync)
            : _database.CommitAsync(source, commit.Write, commit.ReadAsync));
        Interlocked.Increment(ref _groupsCommitted);
        if (entries.Exists(p => p.Entry!.Outbox.Count > 0))
        {
            OutboxWritten?.Invoke();
        }

        foreach (var pending in starts)
        {
            pending.Complete(commit.MadeAt(pending.Start!) is { } at
                ? new CommitReply(CommitOutcome.Committed, at, 1)
                : new CommitReply(CommitOutcome.Fenced, default, 0));
        }

        foreach (var pending in entries)
        {
            pending.Complete(new CommitReply(CommitOutcome.Committed, commit.At, pending.Entry!.Epoch));
        }
    }

    /// <summary>A silo that was declared dead starts nothing more. Returns the entries, which have fences of their own.</summary>
    private static List<PendingCommit> RefuseStarts(List<PendingCommit> group, PostgresException error)
    {
        group.Where(p => p.Start is not null).ToList().ForEach(p => p.Complete(CommitOutcome.Rejected, error));
        return [.. group.Where(p => p.Start is null)];
    }

    /// <summary>A group that the database refused holds an offender: halve it until the offender is alone.</summary>
    private async Task<List<PendingCommit>> DivideAsync(List<PendingCommit> group, Exception error)
    {
        if (group.Count == 1)
        {
            return Apart(group, () => WaitAsync(group, error));
        }

        LogDivided(group.Count, error.Message);
        await CommitAsync(group[..(group.Count / 2)]);
        return group[(group.Count / 2)..];
    }

    [LoggerMessage(101, LogLevel.Warning, "The outcome of a commit of {Count} entries is unknown; asking the database.")]
    private partial void LogUnknownOutcome(int count, Exception error);

    [LoggerMessage(102, LogLevel.Information, "A group of {Count} entries was refused ({Message}); dividing it.")]
    private partial void LogDivided(int count, string message);
}
