using System.Collections.Concurrent;
using System.Data;
using Actors.Programs;
using Actors.Storage;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>
/// The open transactions of users' bodies. Postgres ends one that sends nothing for IdleTransactionTimeout, and its body would not learn of
/// it while it waits for something else: whoever looks here ends the attempt, and the place in the pool is free again.
/// </summary>
internal sealed partial class TransactionSessions(
    EngineDatabase database, JournalWriter journal, RunTable runs, ExecutionOptions options, TimeProvider time, ILogger log)
{
    private static readonly TimeSpan LongAfter = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan EndsWithin = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<TransactionCommit, Holder> _open = new();
    private readonly ConcurrentDictionary<Attempt, long> _waiting = new();

    /// <summary>Why transactions do not begin, for the health of the silo; null while they do.</summary>
    public string? Problem { get; private set; }

    /// <summary>Waits for a connection as long as the connection string's Timeout says.</summary>
    public async Task<TransactionCommit> BeginAsync(Effects run, Attempt attempt, IsolationLevel isolation)
    {
        var beginning = TransactionCommit.BeginAsync(database, journal, isolation, attempt.Token);
        if (!beginning.IsCompleted)
        {
            _waiting[attempt] = time.GetTimestamp();
        }

        try
        {
            var session = await beginning;
            _open[session] = new Holder(run, attempt, time.GetTimestamp());
            return session;
        }
        finally
        {
            _waiting.TryRemove(attempt, out _);
        }
    }

    /// <summary>Once for each: what is not committed is rolled back. A statement that the body sent and did not wait for holds its
    /// connection, and not its run.</summary>
    public async ValueTask EndAsync(TransactionCommit? session)
    {
        if (session is null || !_open.TryRemove(session, out _))
        {
            return;
        }

        var ending = session.DisposeAsync().AsTask();
        try
        {
            await ending.WaitAsync(EndsWithin, time);
        }
        catch (TimeoutException)
        {
            LogLingers(log, EndsWithin);
        }
    }

    /// <summary>Ends the attempts whose sessions Postgres has ended, and says so when none is free.</summary>
    public async Task CheckAsync()
    {
        SayWhenEmpty();
        var limit = options.IdleTransactionTimeout;
        var old = _open.Where(open => !open.Value.Attempt.IsReady && time.GetElapsedTime(open.Value.Since) > limit).ToList();
        if (old.Count == 0)
        {
            return;
        }

        var living = await runs.ReadLivingSessionsAsync(old.Select(open => open.Key.ProcessId));
        foreach (var (session, (run, attempt, _)) in old.Where(open => !living.Contains(open.Key.ProcessId)))
        {
            run.Abandon(attempt, new TimeoutException(
                $"Postgres ended the transaction of {attempt.Command}: its body sent nothing for {limit} (IdleTransactionTimeout, 25P03). "
                + "Wait for others outside of a transaction."));
            await EndAsync(session);
        }
    }

    private void SayWhenEmpty()
    {
        var longest = _waiting.Values.Select(since => time.GetElapsedTime(since)).DefaultIfEmpty().Max();
        if (longest < LongAfter || _open.Count < options.TransactionConnectionsMax)
        {
            Problem = null;
            return;
        }

        var oldest = _open.MinBy(open => open.Value.Since).Value;
        var problem = $"{_waiting.Count} transaction(s) wait for a connection, the longest for {longest.TotalSeconds:0} s: "
            + $"all {options.TransactionConnectionsMax} (TransactionConnectionsMax) are in use, "
            + $"the longest for {time.GetElapsedTime(oldest.Since).TotalSeconds:0} s by {oldest.Attempt.Command} of workflow "
                + $"'{oldest.Run.Id}'.";
        if (Problem is null)
        {
            LogEmpty(log, problem);
        }

        Problem = problem;
    }

    private const string Lingers = "A transaction's connection has not come back within {Time}: its body left a statement under way. "
        + "Await what is sent.";

    [LoggerMessage(514, LogLevel.Warning, Lingers)]
    private static partial void LogLingers(ILogger log, TimeSpan time);

    [LoggerMessage(511, LogLevel.Warning, "{Problem}")]
    private static partial void LogEmpty(ILogger log, string problem);

    private sealed record Holder(Effects Run, Attempt Attempt, long Since);
}
