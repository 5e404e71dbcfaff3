using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Actors.Storage;

/// <summary>
/// Who waits for a lock waits alone: another's open transaction may hold a run's row, an id that is started or a message's id. A group
/// that met one leaves its slot at once, and is sent again in parts beside each other, then the parts that wait member by member; all that
/// pass are answered as they do, within about two lock time-outs. Only those are left that wait. Where nobody passes it is a table that is
/// locked: then the group waits as one.
/// </summary>
internal sealed partial class JournalWriter
{
    private const int PartsMax = 8; // And so many connections, for the moment.
    private const int PatientMax = 3; // Of four patient connections: whoever must resolve a commit finds one.

    private readonly SemaphoreSlim _patience = new(PatientMax);

    /// <summary>The group goes on outside of its slot: others are not held up, and each member is answered by itself.</summary>
    private List<PendingCommit> Apart(List<PendingCommit> group, Func<Task> goOn)
    {
        group.ForEach(pending => pending.SetApart());
        var going = Task.Run(goOn);
        _apart.TryAdd(going, true);
        _ = going.ContinueWith(task => _apart.TryRemove(task, out _), TaskScheduler.Default);
        return [];
    }

    private async Task FindWaitersAsync(List<PendingCommit> group, Exception error)
    {
        LogSeeksWaiters(group.Count, error.Message);
        var size = (group.Count + PartsMax - 1) / PartsMax;
        var parts = group.Chunk(size).Select(part => part.ToList()).ToList();
        var held = size == 1 ? parts : await SendPartsAsync(parts);
        if (held.Count == parts.Count && held.Count > 1)
        {
            // One of each: where even these all wait, it is for something that all need.
            var first = held.Select(part => part[..1]).ToList();
            var waiting = await SendPartsAsync(first);
            if (waiting.Count == first.Count)
            {
                await WaitAsync([.. held.SelectMany(part => part)], error);
                return;
            }

            held = [.. waiting, .. held.Select(part => part[1..]).Where(part => part.Count > 0)];
        }

        var alone = await SendPartsAsync([.. held.SelectMany(part => part).Select(pending => new List<PendingCommit> { pending })]);
        await Task.WhenAll(alone.Select(pending => WaitAsync(pending, error)));
    }

    /// <summary>Sends them beside each other, some at a time. Returns those that wait for a lock.</summary>
    private async Task<List<List<PendingCommit>>> SendPartsAsync(List<List<PendingCommit>> parts)
    {
        var waiting = new ConcurrentQueue<List<PendingCommit>>();
        await Parallel.ForEachAsync(parts, new ParallelOptions { MaxDegreeOfParallelism = PartsMax }, async (part, _) =>
        {
            for (var (left, tries) = (part, 1); left.Count > 0; tries++)
            {
                try
                {
                    await SendAsync(left);
                    return;
                }
                catch (PostgresException again) when (PostgresFaults.IsLocked(again))
                {
                    waiting.Enqueue(left);
                    return;
                }
                catch (Exception again)
                {
                    left = await CompletePartAsync(left, again, tries);
                }
            }
        });
        return [.. waiting];
    }

    /// <summary>What it means that a part apart from any slot was not committed: settles what is certain and returns what is to be sent
    /// again.</summary>
    private async Task<List<PendingCommit>> CompletePartAsync(List<PendingCommit> part, Exception error, int tries)
    {
        switch (error)
        {
            case PostgresException { SqlState: PostgresFaults.FenceFailed }:
                return await ResolveAsync(part, raise: false);
            case PostgresException { SqlState: PostgresFaults.SiloIsDead } refusal:
                return RefuseStarts(part, refusal);
            case PostgresException refusal when PostgresFaults.IsCertainAbort(refusal):
            case var _ when PostgresFaults.IsUnsendable(error):
                await Task.WhenAll(part.Select(pending => WaitAsync([pending], error)));
                return [];
            default:
                LogUnknownOutcome(part.Count, error);
                await Task.Delay(tries == 1 ? TimeSpan.Zero : PostgresFaults.Pause(tries));
                return await ResolveAsync(part, raise: true);
        }
    }

    /// <summary>Tries until it is settled. What the data itself forbids is rejected; all else may pass, and may wait for as long as it
    /// must, on another connection, and nobody waits for it.</summary>
    private async Task WaitAsync(List<PendingCommit> left, Exception error)
    {
        for (var tries = 1; left.Count > 0; tries++)
        {
            if (error is PostgresException { SqlState: PostgresFaults.NumberIsTaken } && left is [var start])
            {
                start.Complete(CommitOutcome.Unmoved);
                return;
            }

            if (error is not PostgresException refusal || !PostgresFaults.MayPass(refusal))
            {
                LogRejected(error.Message);
                left.ForEach(pending => pending.Complete(CommitOutcome.Rejected, error));
                return;
            }

            LogWaitsAlone(error.Message);
            await Task.Delay(PostgresFaults.Pause(tries));
            try
            {
                await SendPatientlyAsync(left);
                return;
            }
            catch (PostgresException again) when (again.SqlState == PostgresFaults.SiloIsDead)
            {
                left = RefuseStarts(left, again);
            }
            catch (PostgresException again) when (again.SqlState == PostgresFaults.FenceFailed)
            {
                left = await ResolveAsync(left, raise: false);
            }
            catch (PostgresException again) when (PostgresFaults.IsCertainAbort(again))
            {
                if (left.Count > 1 && !PostgresFaults.IsLocked(again))
                {
                    await Task.WhenAll(left.Select(pending => WaitAsync([pending], again))); // One of them, but which?
                    return;
                }

                error = again;
            }
            catch (Exception)
            {
                left = await ResolveAsync(left, raise: true);
            }
        }
    }

    /// <summary>In the queue for the lock, while a connection for that is free; else with a short look.</summary>
    private async Task SendPatientlyAsync(List<PendingCommit> left)
    {
        if (!await _patience.WaitAsync(0))
        {
            await SendAsync(left);
            return;
        }

        try
        {
            await SendAsync(left, _database.Patient);
        }
        finally
        {
            _patience.Release();
        }
    }

    [LoggerMessage(108, LogLevel.Information, "Some of {Count} entries wait for a lock ({Message}); looking for them.")]
    private partial void LogSeeksWaiters(int count, string message);

    [LoggerMessage(104, LogLevel.Warning, "An entry cannot commit yet ({Message}); it is tried again, apart from the others.")]
    private partial void LogWaitsAlone(string message);

    [LoggerMessage(103, LogLevel.Error, "The database refuses an entry for good ({Message}).")]
    private partial void LogRejected(string message);
}
