using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>From what got ready to what is committed, and from there to the code.</summary>
internal sealed partial class WorkflowInstance
{
    private CommitUnderWay? _inFlight;
    private bool _readingMail;
    private bool _moreMail; // The last read took as many letters as one may.
    private bool _clearCrashes;

    /// <summary>Commits what is ready, if no commit is under way. Called after everything that happens.</summary>
    private void Advance()
    {
        if (_gone || _inFlight is not null || _readingMail)
        {
            return;
        }

        if (_code.Violation is { } violation)
        {
            SetAside(violation.Message);
        }
        else if (_draft.Size > _engine.Options.EntrySizeMax)
        {
            AdvanceInParts();
        }
        else if (_code.HasEnded && !_draft.HasSignals)
        {
            End();
        }
        else if (!_code.HasEnded && _readyTransactions.TryDequeue(out var transaction))
        {
            CommitTransaction(transaction);
        }
        else if (!_draft.IsEmpty || _clearCrashes)
        {
            _clearCrashes = false;
            Submit(Seal(out var draft), draft);
        }
        else if (_givingAway)
        {
            Release(wakeOthers: _running > 0 || _code.Outstanding.Values.Any(c => c is BodyCommand { RetryAt: null }));
        }
        else if (_moreMail)
        {
            ReadMail();
        }
        else if (_exclusive.TryDequeue(out var exclusive))
        {
            RunExclusive(exclusive);
        }
    }

    /// <summary>More got ready meanwhile than one entry takes: rows that could have come one by one go one after the other.</summary>
    private void AdvanceInParts()
    {
        if (_draft.TakeUpTo(_engine.Options.EntrySizeMax) is { } part)
        {
            Submit(Seal(part), part);
        }
        else
        {
            SetAside($"one turn{_code.After} made {_draft.Size:N0} bytes of messages to commit at once; the limit (EntrySizeMax) is {_engine.Options.EntrySizeMax:N0}.");
        }
    }

    /// <summary>Turns the draft into an entry at the run's present place, and begins a new draft.</summary>
    private Entry Seal(out Draft draft)
    {
        (draft, _draft) = (_draft, new Draft());
        return Seal(draft);
    }

    private Entry Seal(Draft draft) => draft.Seal(Row, _epoch, _position, _messages);

    private void Submit(Entry entry, Draft draft, JournalRow? last = null)
    {
        _inFlight = new CommitUnderWay(draft, last, _engine.Time.GetTimestamp());
        _engine.Journal.Submit(entry, reply => PostHere(() => Replied(entry, reply), takesBody: true));
    }

    private void Replied(Entry entry, CommitReply reply)
    {
        if (_gone)
        {
            return;
        }

        var (draft, last, _) = _inFlight!;
        _epoch = reply.Epoch;
        switch (reply.Outcome)
        {
            case CommitOutcome.Committed:
                Committed(entry, draft, reply.At);
                break;
            case CommitOutcome.Fenced:
                LogFenced(Id);
                Leave(new MovedException(fenced: true));
                break;
            case CommitOutcome.Early:
                _engine.Clock.Correct(reply.At);
                RestoreUnfired(draft, last);
                break;
            case CommitOutcome.Mail:
                _inFlight = null;
                _draft.Restore(draft, without: row => ReferenceEquals(row, last));
                ReadMail();
                break;
            case CommitOutcome.Rejected when entry.Status == WorkflowStatus.SetAside:
                // Not even that. After a few times nothing of it is run again.
                var refused = new WorkflowUnavailableException(
                    $"Workflow '{Id}' cannot go on ({_setAsideReason}), and the database refuses to record it: {reply.Error?.Message}");
                GiveUp(refused, refused);
                break;
            default:
                _inFlight = null;
                draft.Fail(new PayloadException($"Workflow '{Id}': the database refuses the entry: {reply.Error?.Message}"));
                SetAside($"the database refuses what it commits: {reply.Error?.Message}");
                break;
        }
    }

    private void Committed(Entry entry, Draft draft, DateTimeOffset at)
    {
        if (entry.Rows.Count > 0)
        {
            _engine.Clock.Hear(at);
        }

        _inFlight = null;
        if (_hadFaults)
        {
            _hadFaults = false; // It gets on.
            _engine.Faults.TryRemove(Id, out _);
        }

        if (entry.Ends)
        {
            EndCommitted(entry, draft, at);
            return;
        }

        draft.Committed();
        if (entry.Leaves)
        {
            Leave(entry.Status == WorkflowStatus.SetAside
                ? new WorkflowSetAsideException($"Workflow '{Id}' was set aside: {_setAsideReason}")
                : new MovedException(fenced: false));
            return;
        }

        foreach (var row in entry.Rows)
        {
            row.At = at;
            Take(row);
            if (_code.Violation is not null)
            {
                _position = entry.Next; // The whole entry is committed, wherever the code stopped.
                return;
            }

            Recorded(row);
            TakeRefusals();
            while (_code.TryTakeIssued(out var command))
            {
                Launch(command);
            }

            GiveUpTimers();
        }
    }

    /// <summary>The database's clock is behind what this process believed: timers fire again when they are due, the rest of the entry goes now.</summary>
    private void RestoreUnfired(Draft draft, JournalRow? last)
    {
        _inFlight = null;
        _draft.Restore(draft, without: row => row.Kind == JournalKind.TimerFired || ReferenceEquals(row, last));
        foreach (var seq in draft.Fired)
        {
            if (_code.Outstanding.GetValueOrDefault(seq) is TimerCommand timer)
            {
                timer.Fired = false;
                WakeAt(timer, timer.DueAt, () => Fire(timer));
            }
        }
    }

    private void End()
    {
        var last = _draft.Add(EndRow(_code));
        foreach (var timer in _code.Outstanding.Values.Where(NeedsTimerRow))
        {
            _draft.ClearTimer(timer.Seq);
        }

        var entry = Seal(out var draft);
        entry.Status = last.Kind == JournalKind.Completed ? WorkflowStatus.Completed : WorkflowStatus.Failed;
        entry.Leaves = true;
        Submit(entry, draft, last);
    }

    private JournalRow EndRow(WorkflowCode code)
    {
        if (code.Error is { } failure)
        {
            return new JournalRow(JournalKind.Failed, 0, Row.Type, ErrorPayload(failure, $"Error of workflow '{Id}'"));
        }

        try
        {
            var payload = code.Result is null ? default : _engine.Payloads.Write(code.Result, code.Workflow.ResultType, $"Result of workflow '{Id}'");
            return new JournalRow(JournalKind.Completed, 0, Row.Type, payload);
        }
        catch (ActorsException error)
        {
            return new JournalRow(JournalKind.Failed, 0, Row.Type, ErrorPayload(error, $"Result"));
        }
    }

    private void EndCommitted(Entry entry, Draft draft, DateTimeOffset at)
    {
        var last = entry.Rows[^1];
        var outcome = Answers.Ended(last.Kind, last.Payload, _engine.Payloads);
        foreach (var row in entry.Rows)
        {
            row.At = at;
        }

        var difference = CheckReplay(last, entry.Rows);
        var withheld = difference is not null && _engine.Findings.Mode == ReplayCheck.Throw ? new ReplayDifferenceException(difference) : null;
        Leave(new WorkflowEndedException($"Workflow '{Id}' has ended; the signal was not delivered."), outcome, withheld);
        draft.Committed();
    }

    private void SetAside(string reason)
    {
        // What is not committed is not kept: after the mend, the code is replayed and asks for it again. Mail stays in the inbox.
        LogSetAside(Id, reason);
        _setAsideReason = reason;
        _draft.Fail(new MovedException(fenced: false));
        _draft = new Draft();
        _draft.Add(new JournalRow(JournalKind.SetAside, 0, Row.Type, Answers.Record(new WorkflowSetAsideException(reason), _engine.Payloads, $"Reason")));
        var entry = Seal(out var draft);
        entry.Status = WorkflowStatus.SetAside;
        entry.Leaves = true;
        Submit(entry, draft);
    }

    private string? _setAsideReason;

    private Payload ErrorPayload(Exception error, FormattableString what) => Answers.Record(error, _engine.Payloads, what);

    /// <summary>A run that was taken from the dead and only waits has not crashed anyone: say so.</summary>
    private void ClearCrashes() =>
        _clearCrashes = Row.CrashCount > 0 && !_code.HasEnded && _code.Violation is null && !_code.Outstanding.Values.Any(c => c is BodyCommand);

    /// <param name="Since">By the process's own clock; 0: only its turn is taken, by a body that has the commit turn.</param>
    private sealed record CommitUnderWay(Draft Draft, JournalRow? Last, long Since);
}
