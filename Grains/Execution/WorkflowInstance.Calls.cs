using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>What others ask of a run in memory.</summary>
internal sealed partial class WorkflowInstance
{
    /// <summary>Returns after the signal has its position in the journal. A repeat with the same message id changes nothing.</summary>
    /// <exception cref="MovedException">The run has left memory before that: ask again.</exception>
    public Task SignalAsync(SignalRequest signal)
    {
        var done = new Told<bool>();
        PostCall(() =>
        {
            // By its name alone, as mail is: where the run happens to be makes no difference.
            signal = signal with { IsTopic = signal.IsTopic && !_code.HasSignal(signal.Name) };
            _code.CheckSignal(signal);
            if (_seenMessages.Contains(signal.MessageId))
            {
                done.Tell(true);
            }
            else if (_arriving.Add(signal.MessageId))
            {
#if PLANTED_BUGS
                Planted.Do("acknowledged before commit", () => done.Tell(true));
#endif
                _draft.Acknowledge(done);
                _draft.Add(SignalRow(signal));
            }
            else
            {
                // The same message is on its way: in the commit under way, or in the next.
                (_inFlight?.Draft is { } underWay && underWay.Holds(signal.MessageId) ? underWay : _draft).Acknowledge(done);
            }
        }, done.Fail);
        return done.Ask();
    }

    // Message ids that have a place in a draft and no position yet.
    private readonly HashSet<string> _arriving = new(StringComparer.Ordinal);
    private bool _givingAway;

    /// <summary>The value of a query between two turns.</summary>
    public Task<Payload> QueryAsync(QueryRequest query)
    {
        var done = new Told<Payload>();
        PostCall(() => done.Tell(_code.Query(query.Name, query.Arguments)), done.Fail);
        return done.Ask();
    }

    /// <summary>The outcome of the run; <c>Ended = false</c> after the patience, or when it left memory without one.</summary>
    public async Task<ResultReply> ResultAsync(TimeSpan patience)
    {
        Interlocked.Increment(ref _waiters);
        try
        {
            return await _ended.Ask().WaitAsync(patience, _engine.Time);
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

    /// <summary>There may be mail in the inbox: give it positions.</summary>
    public void CheckMail() => Post(() =>
    {
        if (!_gone && !_readingMail)
        {
            ReadMail();
        }
    });

    /// <summary>Leaves memory if the run only waits, nobody waits for it here, and nothing is due soon.</summary>
    public void RestIfIdle(TimeSpan restAfter)
    {
        if (_engine.Time.GetElapsedTime(Volatile.Read(ref _restedAt)) >= restAfter && _waiters == 0)
        {
            Post(() =>
            {
                var soon = _engine.Clock.Now + _engine.Options.LookAhead + _engine.Options.LookAhead;
                if (IsAtRest && _waiters == 0 && !_code.Outstanding.Values.Any(c => DueAt(c) < soon))
                {
                    CheckReplay(last: null);
                    Release(wakeOthers: false);
                }
            });
        }
    }

    /// <summary>
    /// Gives the run away: bodies are cancelled, the commit under way ends, the owner is cleared. Completes when it has left. Unless it only waits it
    /// leaves a letter, by which the sweeps find it: whoever asked for it may be gone before its claim.
    /// </summary>
    public Task ReleaseAsync()
    {
        Post(() =>
        {
            _givingAway = true;
            CancelAttempts();
        });
        return Left;
    }

    /// <summary>This silo has claimed the run anew, so this object can commit nothing more.</summary>
    public void GiveWay() => Post(() => Leave(new MovedException(fenced: false)));

    private bool IsAtRest => !_gone && _inFlight is null && !_readingMail && !_moreMail && _running == 0 && _draft.IsEmpty && _exclusive.Count == 0
        && _readyTransactions.Count == 0 && !_code.HasEnded && _code.Violation is null;

    private static DateTimeOffset DueAt(Command command) => command switch
    {
        TimerCommand timer => timer.DueAt,
        BodyCommand { RetryAt: { } due } => due,
        BodyCommand => DateTimeOffset.MinValue,
        _ => DateTimeOffset.MaxValue,
    };

    private void Release(bool wakeOthers)
    {
        var entry = Seal(out var draft);
        entry.Leaves = true;
        entry.WakesOthers = wakeOthers;
#if PLANTED_BUGS
        Planted.Do("work given away without a letter", () => entry.WakesOthers = false);
#endif
        Submit(entry, draft, null);
    }

    private volatile string? _mailProblem;

    private void ReadMail()
    {
        (_readingMail, _moreMail) = (true, false);
        _ = ReadMailAsync();
    }

    private async Task ReadMailAsync()
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                var mail = await _engine.Claims.ReadMailAsync(Row.Instance);
                Post(() =>
                {
                    (_readingMail, _mailProblem) = (false, null);
                    TakeMail(mail);
                });
                return;
            }
            catch (Exception) when (_gone)
            {
                return;
            }
            catch (Exception error)
            {
                var pause = PostgresFaults.Pause(tries);
                LogMailUnread(Id, tries, pause, ErrorText.MessageOf(error));
                _mailProblem = tries < InterruptionsBeforeProblem
                    ? null : $"Its inbox could not be read {tries} times, last with {ErrorText.MessageOf(error)}";
                await Task.Delay(pause);
            }
        }
    }

    /// <summary>Mail gets its position with the next commit, and leaves the inbox in that commit. What cannot be read stays there, for people.</summary>
    private void TakeMail(IReadOnlyList<MailRow> mail)
    {
        if (_gone)
        {
            return;
        }

        _moreMail = mail.Count >= Claims.MailMax;
        foreach (var letter in mail)
        {
            var signal = new SignalRequest(letter.Name, !_code.HasSignal(letter.Name), letter.Payload, letter.MessageId);
            if (letter.Name.Length > 0 && !_seenMessages.Contains(letter.MessageId) && !_arriving.Contains(letter.MessageId))
            {
                try
                {
                    _code.CheckSignal(signal);
                }
                catch (PayloadException error)
                {
                    var reason = WorkflowCode.Reason(error);
                    LogRefusedMail(Id, letter.MessageId, reason);
                    _draft.RefuseMail(letter.MessageId, reason);
                    continue;
                }

                _arriving.Add(letter.MessageId);
                _draft.Add(SignalRow(signal));
            }

            _draft.ClearMail(letter.MessageId);
        }
    }

    /// <summary>What the code could not read goes before what it did without it; what it took for a topic's with it.</summary>
    private void TakeRefusals()
    {
        while (_code.TryTakeRefused(out var refused))
        {
            LogRefusedMail(Id, refused.Row.MessageId!, refused.Reason);
            var payload = _engine.Payloads.Write(new RefusedMessage(refused.Row.Position, refused.Reason), $"Refusal of message '{refused.Row.MessageId}'");
            _draft.AddRefusal(new JournalRow(JournalKind.Refused, 0, refused.Row.Name, payload), refused.Row.Position, refused.Reason);
        }

        while (_code.TryTakeOfTopic(out var letter))
        {
            var payload = _engine.Payloads.Write(new LetterOfTopic(letter.Position), $"Note on message '{letter.MessageId}'");
            _draft.Add(new JournalRow(JournalKind.LetterOfTopic, 0, letter.Name, payload));
        }
    }

    private static JournalRow SignalRow(SignalRequest signal) =>
        new(signal.IsTopic ? JournalKind.Topic : JournalKind.Signal, 0, signal.Name, signal.Payload) { MessageId = signal.MessageId };

    private void PostCall(Action action, Action<Exception> fail) => Post(() =>
    {
        if (_gone)
        {
            fail(new MovedException(WasFenced));
            return;
        }

        try
        {
            action();
        }
        catch (Exception error)
        {
            fail(error);
        }
    });
}
