using Actors.Programs;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>From what got ready to what is committed, and from there to the program.</summary>
internal sealed partial class ResidentRun
{
    /// <summary>Commits what is ready, if it is nobody's turn. Called after everything that happens.</summary>
    private void Advance()
    {
        if (Evicted is not null || !_turn.IsFree || _inbox.IsReading)
        {
            return;
        }

        if (Program.Violation is { } violation)
        {
            SetAside(violation.Message);
        }
        else if (Draft.Size > Engine.Options.EntrySizeMax)
        {
            CommitInParts();
        }
        else if (Program.HasEnded && !Draft.HasSignals)
        {
            CommitEnd();
        }
        else if (!Program.HasEnded && Effects.TryTakeReady(out var transaction))
        {
            Commit(transaction);
        }
        else if (!Draft.IsEmpty || _clearsCrashes)
        {
            _clearsCrashes = false;
            Commit(Seal(out var draft), draft);
        }
        else if (IsReleasing)
        {
            Release(wakesOthers: Effects.HasRunning || Program.Outstanding.Values.Any(command => command is BodyCommand { RetryAt: null }));
        }
        else if (_inbox.HasMore)
        {
            _inbox.Read();
        }
        else if (Effects.TryTakeExclusive(out var body))
        {
            // Above READ COMMITTED its snapshot must not be outdated by commits of its own workflow: it takes the commit turn.
            _turn.Hold(body);
            Effects.Run(body);
        }
    }

    /// <summary>More got ready meanwhile than one entry takes: rows that could have come one by one go one after the other.</summary>
    private void CommitInParts()
    {
        if (Draft.TakeUpTo(Engine.Options.EntrySizeMax) is { } part)
        {
            Commit(Seal(part), part);
        }
        else
        {
            SetAside($"one turn{Program.After} made {Draft.Size:N0} bytes of messages to commit at once; the limit (EntrySizeMax) is "
                + $"{Engine.Options.EntrySizeMax:N0}.");
        }
    }

    /// <summary>Turns the draft into an entry at the run's present place, and begins a new draft.</summary>
    private Entry Seal(out Draft draft)
    {
        (draft, Draft) = (Draft, new Draft());
        return Seal(draft);
    }

    private Entry Seal(Draft draft) => draft.Seal(Row, Epoch, Position, _messages);

    private void Commit(Entry entry, Draft draft, JournalRow? last = null)
    {
        _turn.Begin(new CommitUnderWay(draft, entry, last, Engine.Time.GetTimestamp()));
        Engine.Journal.Submit(entry, reply => _queue.AddHere(() => OnReply(reply), takesBody: true));
    }

    private void Release(bool wakesOthers)
    {
        var entry = Seal(out var draft);
        entry.Leaves = true;
        entry.WakesOthers = wakesOthers;
        entry.Wait = WaitsFor();
        entry.ClearsWait = entry.Wait is null && Row.MayHaveWait;
        Commit(entry, draft);
    }

    /// <summary>What ends by itself first, and how many others there are.</summary>
    private WaitRow? WaitsFor()
    {
        var waits = Program.Waiting.OrderBy(wait => wait.Until ?? DateTimeOffset.MaxValue).ToList();
        return waits.Count == 0 ? null : waits[0] with { Others = waits.Count - 1 };
    }

    private void CommitEnd()
    {
        var last = Draft.Add(Program.EndRow());
        foreach (var command in Program.Outstanding.Values.Where(command => command.HasTimer))
        {
            Draft.ClearTimer(command.Seq);
        }

        var entry = Seal(out var draft);
        entry.Status = last.Kind == JournalKind.Completed ? WorkflowStatus.Completed : WorkflowStatus.Failed;
        (entry.Leaves, entry.ClearsWait) = (true, Row.MayHaveWait);
        Commit(entry, draft, last);
    }

    private void SetAside(string reason)
    {
        // What is not committed is not kept: after the mend, the code is replayed and asks for it again. Letters stay in the inbox.
        LogSetAside(Id, reason);
        _setAsideReason = reason;
        Draft.Fail(new MovedException(fenced: false));
        Draft = new Draft();
        Draft.Add(Answers.SetAside(Row.Type, reason, Engine.Payloads));
        var entry = Seal(out var draft);
        entry.Status = WorkflowStatus.SetAside;
        (entry.Leaves, entry.ClearsWait) = (true, Row.MayHaveWait);
        Commit(entry, draft);
    }

    /// <summary>The body's transaction has its turn, at once where the body holds that.</summary>
    public void OnReady(ReadyTransaction ready)
    {
        if (_turn.IsHeldBy(ready.Attempt.Command))
        {
            Commit(ready);
        }
        else
        {
            Effects.Await(ready);
        }
    }

    /// <summary>The attempt has ended without a commit: the turn is free again, if it held it.</summary>
    public void GiveBackTurn(BodyCommand command) => _turn.GiveBack(command);

    /// <summary>Commits the transaction with everything that is ready; if it fails, only the transaction does.</summary>
    private void Commit(ReadyTransaction ready)
    {
        var sent = false;
        try
        {
            if (Effects.Complete(ready) is { } row)
            {
                var entry = Seal(out var draft);
                _turn.Begin(new CommitUnderWay(draft, entry, row, Engine.Time.GetTimestamp()) { IsOfBody = true });
                sent = true;
                _ = CommitAsync(ready, entry);
            }
        }
        finally
        {
            if (!sent)
            {
                ready.Done.TrySetResult(new CommitReply(CommitOutcome.Fenced, default, 0)); // Else body and connection would wait for ever.
            }
        }
    }

    private async Task CommitAsync(ReadyTransaction ready, Entry entry)
    {
        CommitReply reply;
        try
        {
            reply = await ready.Session.CommitAsync(entry);
        }
        catch (Exception error)
        {
            reply = TransactionCommit.Aborted(ready.Session, entry, error);
        }

        Post(() =>
        {
            try
            {
                OnReply(reply);
            }
            finally
            {
                ready.Done.SetResult(reply); // Whatever the reply leads to, body and connection are done with.
            }
        });
    }

    private void OnReply(CommitReply reply)
    {
        if (Evicted is not null)
        {
            return;
        }

        if (reply.Outcome == CommitOutcome.Fenced)
        {
            LogFenced(Id);
            Evict(Eviction.Fenced); // What the commit would have acknowledged is asked elsewhere.
            return;
        }

        var commit = _turn.End();
        var (draft, entry, last, _) = commit;
        Epoch = Math.Max(Epoch, reply.Epoch);
        switch (reply.Outcome)
        {
            case CommitOutcome.Committed:
                OnCommitted(entry, draft, reply.At);
                break;
            case CommitOutcome.Early:
                Engine.Clock.Correct(reply.At);
                Draft.Restore(draft, without: row => row.Kind == JournalKind.TimerFired || ReferenceEquals(row, last));
                foreach (var seq in draft.Fired)
                {
                    Effects.TooEarly(seq);
                }

                break;
            case CommitOutcome.Letters:
                Draft.Restore(draft, without: row => ReferenceEquals(row, last));
                _inbox.Read();
                break;
            case CommitOutcome.Unmoved or CommitOutcome.Rejected when commit.IsOfBody:
                Draft.Restore(draft, without: row => ReferenceEquals(row, last)); // The body is told the same.
                break;
            case CommitOutcome.Rejected when entry.Status == WorkflowStatus.SetAside:
                // Not even that. After a few times nothing of it is run again.
                var refused = new WorkflowUnavailableException(
                    $"Workflow '{Id}' cannot go on ({_setAsideReason}), and the database refuses to record it: {reply.Error?.Message}");
                Fault(refused, refused);
                break;
            default:
                draft.Fail(new PayloadException($"Workflow '{Id}': the database refuses the entry: {reply.Error?.Message}"));
                SetAside($"the database refuses what it commits: {reply.Error?.Message}");
                break;
        }
    }

    private void OnCommitted(Entry entry, Draft draft, DateTimeOffset at)
    {
        if (entry.Rows.Count > 0)
        {
            Engine.Clock.Observe(at);
        }

        if (_hadFaults)
        {
            _hadFaults = false; // It gets on.
            Engine.Faults.TryRemove(Id, out _);
        }

        foreach (var row in entry.Rows)
        {
            row.At = at;
        }

        if (entry.Ends)
        {
            OnEnded(entry, draft);
            return;
        }

        draft.Committed();
        if (entry.Leaves)
        {
            Evict(
                entry.Status == WorkflowStatus.SetAside ? Eviction.SetAside : IsReleasing ? Eviction.Released : Eviction.Rested,
                entry.Status == WorkflowStatus.SetAside ? new WorkflowSetAsideException($"Workflow '{Id}' was set aside: {_setAsideReason}")
                    : null);
            return;
        }

        foreach (var row in entry.Rows)
        {
            Apply(row);
            if (Program.Violation is not null)
            {
                Position = entry.Next; // The whole entry is committed, wherever the code stopped.
                return;
            }

            Effects.GoOn(row);
            LaunchCommands();
        }
    }

    private void OnEnded(Entry entry, Draft draft)
    {
        var last = entry.Rows[^1];
        var difference = _comparison?.Compare(last, entry.Rows);
        var withheld = difference is not null && Engine.Findings.Mode == ReplayCheck.Throw ? new ReplayDifferenceException(difference)
            : null;
        Evict(Eviction.Ended, withheld, withheld is null ? Answers.Ended(last.Kind, last.Payload, Engine.Payloads) : null);
        draft.Committed();
    }
}
