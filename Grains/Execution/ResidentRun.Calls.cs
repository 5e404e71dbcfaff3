using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>What others ask of a run in memory.</summary>
internal sealed partial class ResidentRun
{
    /// <summary>Returns after the signal has its position in the journal. A repeat with the same message id changes nothing.</summary>
    /// <exception cref="MovedException">The run has left memory before that: ask again.</exception>
    public Task SignalAsync(SignalCall signal)
    {
        var done = new Outcome<bool>();
        PostCall(() => _inbox.Accept(signal, done), done.Fail);
        return done.Ask();
    }

    /// <summary>The value of a query between two turns.</summary>
    public Task<Payload> QueryAsync(QueryCall query)
    {
        var done = new Outcome<Payload>();
        PostCall(() => done.Tell(Program.Query(query.Name, query.Arguments)), done.Fail);
        return done.Ask();
    }

    /// <summary>The outcome of the run; <c>Ended = false</c> after the patience, or when it left memory without one.</summary>
    public async Task<ResultReply> ResultAsync(TimeSpan patience)
    {
        Interlocked.Increment(ref _waiters);
        try
        {
            return await _ended.Ask().WaitAsync(patience, Engine.Time);
        }
        catch (Exception error) when (error is TimeoutException or MovedException)
        {
            return new ResultReply(null, Ended: false, default, null);
        }
        finally
        {
            Interlocked.Decrement(ref _waiters);
        }
    }

    /// <summary>There may be letters in the inbox: give them positions.</summary>
    public void CheckInbox() => Post(_inbox.Check);

    /// <summary>Why the run does not get on although it runs, or null. The thread that handles the run's work knows, unless a turn blocks
    /// it.</summary>
    public async Task<string?> ProblemAsync()
    {
        if (TurnProblem is { } blocked)
        {
            return blocked;
        }

        var done = new Outcome<string?>();
        PostCall(() => done.Tell(CommitProblem() ?? _inbox.Problem ?? Effects.Problem()), done.Fail);
        try
        {
            return await done.Ask().WaitAsync(AnswersWithin, Engine.Time);
        }
        catch (PayloadException error)
        {
            return error.Message; // Somebody changed the journal.
        }
        catch (Exception error) when (error is TimeoutException or MovedException)
        {
            return TurnProblem;
        }
    }

    /// <summary>What it waits for; null: for nothing now, or a turn is under way.</summary>
    public async Task<WaitRow?> WaitsAsync()
    {
        var done = new Outcome<WaitRow?>();
        PostCall(() => done.Tell(WaitsFor()), done.Fail);
        try
        {
            return await done.Ask().WaitAsync(AnswersWithin, Engine.Time);
        }
        catch (Exception error) when (error is TimeoutException or MovedException)
        {
            return null;
        }
    }

    /// <summary>The draft or the commit under way that holds this message.</summary>
    public Draft DraftWith(string messageId) => _turn.UnderWay is { Draft: var draft } && draft.Holds(messageId) ? draft : Draft;

    private string? CommitProblem() =>
        _turn.UnderWay is { Since: var since } && Engine.Time.GetElapsedTime(since) is var waits && waits > LongCommit
        ? $"A commit of it has been under way for {waits.TotalSeconds:0} s. If the database refuses it or does not answer, the silo's log "
            + $"says so."
        : null;

    private void PostCall(Action call, Action<Exception> fail) => Post(() =>
    {
        if (Evicted is { } why)
        {
            fail(new MovedException(fenced: why == Eviction.Fenced));
            return;
        }

        try
        {
            call();
        }
        catch (Exception error)
        {
            fail(error);
        }
    });
}
