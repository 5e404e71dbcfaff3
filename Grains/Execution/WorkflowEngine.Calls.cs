using Actors.Calling;
using Actors.Programs;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Execution;

/// <summary>The calls of clients, for a run that is in memory, must be brought there, or has ended.</summary>
internal sealed partial class WorkflowEngine
{
    /// <summary>Returns after the commit that holds the signal: in the journal of a run in memory, else in its inbox.</summary>
    public Task SignalAsync(WorkflowId id, SignalCall signal)
    {
        CheckMessageId(id, signal);
        signal = signal with { Payload = CheckPayload(signal.Payload, $"Signal {signal.Name} of workflow '{id}'") };
        return RepeatAsync(id, async () =>
        {
            Opened opened;
            try
            {
                opened = await OpenAsync(id);
            }
            catch (UnknownWorkflowTypeException)
            {
                // Another silo has the type, and will find the letter.
                CheckCaller(signal.Run is null ? null : await Context.Claims.ReadRunAsync(id), signal);
                return await AppendLetterAsync(id, signal);
            }

            CheckCaller(opened.Row, signal);
            switch (opened)
            {
                case { Run: { } resident }:
                    if (!resident.Row.IsFirst
                        && await Context.Runs.FindMessageAsync(resident.Row.Workflow, signal.MessageId, MessageIdKind.Message) is not null)
                    {
                        return true; // An earlier run of this workflow took it.
                    }

                    await resident.SignalAsync(signal);
                    return true;
                case { Row: null }:
                    throw NotFound(id);
                case { Row.HasEnded: false }: // Set aside, not begun, or another silo's to go on with.
                    return await AppendLetterAsync(id, signal);
                default:
                    return await Context.Runs.FindMessageAsync(opened.Row.Workflow, signal.MessageId, MessageIdKind.Message) is not null
                        ? true : throw new WorkflowEndedException(
                        $"Workflow '{id}' has ended ({opened.Row.Status}); the signal '{signal.Name}' was not delivered.");
            }
        });
    }

    /// <summary>The value of a query; a run that is not in memory is read and replayed for it, without a claim.</summary>
    public Task<Payload> QueryAsync(WorkflowId id, QueryCall query) => RepeatAsync(id, async () =>
    {
        CheckName(id, query.Name, "the name of a query");
        if (_residents.TryGetValue(id, out var resident))
        {
            CheckCaller(resident.Row, query);
            ThrowIfDifferent(resident.Row);
            return await resident.QueryAsync(query);
        }

        var loaded = await Context.Claims.ReadAsync(id) ?? throw NotFound(id);
        if (loaded.History.Count == 0)
        {
            throw NotFound(id); // Retention took it just now.
        }

        CheckCaller(loaded.Row, query);
        ThrowIfDifferent(loaded.Row);
        if (loaded.Row.Status == WorkflowStatus.NotBegun || Context.Codes.Formats.Lacking(loaded.Row, loaded.History) is not null)
        {
            throw new WorkflowUnavailableException(
                loaded.Row.Status == WorkflowStatus.NotBegun ? Sentences.NotBegun(loaded.Row) : Sentences.LeftAlone(id));
        }

        return await Task.Run(() => Replay.QueryAsync(Context, loaded, query));
    });

    /// <summary>The outcome of the run; <c>Ended = false</c> when there is none within the patience, or the run moved.</summary>
    public async Task<ResultReply> ResultAsync(WorkflowId id, ResultCall request)
    {
        var opened = await OpenAsync(id);
        var type = (opened.Run?.Row ?? opened.Row)?.Type;
        if (type is not null && request.Type is not null && type != request.Type)
        {
            throw new WorkflowTypeMismatchException($"Workflow '{id}' exists and is a {type}, not a {request.Type}: choose another id.");
        }

        CheckCaller(opened.Run?.Row ?? opened.Row, request);
        ThrowIfDifferent(opened.Run?.Row ?? opened.Row);

        return opened switch
        {
            { Run: { } resident } => await resident.ResultAsync(request.Limit ?? Timeout.InfiniteTimeSpan),
            { Row: null } => throw NotFound(id),
            { NotMine: { } reason } => throw new WorkflowUnavailableException(reason),
            { Row.Status: WorkflowStatus.NotBegun } => await BeginsAsync(opened.Row, request.Limit),
            { Row.Status: WorkflowStatus.SetAside } =>
                throw new WorkflowSetAsideException($"Workflow '{id}' was set aside: {await ProblemAsync(opened.Row)}"),
            _ => await EndedAsync(opened.Row),
        };
    }

    /// <summary>Nothing to tell until it begins, or the patience ends.</summary>
    private async Task<ResultReply> BeginsAsync(StoredRun row, TimeSpan? limit)
    {
        var left = (row.BeginsAt ?? Context.Clock.Now) - Context.Clock.Now;
        var most = limit ?? MostPause;
        await Task.Delay(left < LeastPause ? LeastPause : left < most ? left : most, Context.Time);
        return new ResultReply(null, Ended: false, default, null);
    }

    private static readonly TimeSpan LeastPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan MostPause = TimeSpan.FromSeconds(20);

    public async Task<StatusReply> StatusAsync(WorkflowId id, StatusCall request)
    {
        try
        {
            var row = await Context.Claims.ReadRunAsync(id) ?? throw NotFound(id);
            CheckCaller(row, request);
            ThrowIfDifferent(row);
            return new StatusReply(
                null, true, row.Run, row.Type, (int)row.Status, row.Position, row.Epoch, row.Owner, row.CreatedAt, row.EndedAt,
                await ProblemAsync(row),
                await Context.Runs.ReadUndeliveredAsync(row.Workflow),
                await WaitsAsync(row));
        }
        catch (WorkflowNotFoundException)
        {
            return new StatusReply(null, false, default, "", 0, 0, 0, null, default, null, null, [], null);
        }
    }

    /// <summary>True when the run had been set aside and goes on now.</summary>
    public async Task<bool> ResumeAsync(WorkflowId id, ResumeCall request)
    {
        var requestId = request.RequestId;
        if (request.Run is not null)
        {
            CheckCaller(await Context.Claims.ReadRunAsync(id), request);
        }

        CheckName(id, requestId, "a request id");
        var resumed = await Context.Runs.ResumeAsync(id, requestId);
        if (resumed)
        {
            await OpenAsync(id);
        }
        else if (await Context.Claims.ReadRunAsync(id) is not { } row)
        {
            throw NotFound(id);
        }
        else
        {
            // By a try beside this one.
            resumed = await Context.Runs.FindMessageAsync(row.Workflow, requestId, MessageIdKind.Resume) is not null;
        }

        return resumed;
    }

    /// <summary>Brings the run into memory, or has it look into its inbox. False when another silo has it.</summary>
    public async Task<bool> WakeAsync(WorkflowId id)
    {
        if (_residents.TryGetValue(id, out var resident))
        {
            resident.CheckInbox();
            return true;
        }

        return !(await OpenAsync(id, ask: false)).IsElsewhere;
    }

    /// <summary>Gives the run away, if it is here. Returns when it has left memory.</summary>
    public Task ReleaseAsync(WorkflowId id) =>
        _residents.TryGetValue(id, out var resident) ? resident.ReleaseAsync() : Task.CompletedTask;

    private async Task<bool> AppendLetterAsync(WorkflowId id, SignalCall signal)
    {
        return await Context.Runs.AppendLetterAsync(id, signal) switch
        {
            true => true,
            false => throw new WorkflowEndedException($"Workflow '{id}' has ended; the signal '{signal.Name}' was not delivered."),
            null => throw new WorkflowTypeMismatchException(
                $"Workflow '{id}' belongs to another contract than the caller's {signal.Contracts![0]}: use the workflow's own contract."),
        };
    }

    /// <summary>A message that comes with a start, as the journal holds it: readable, since nobody could refuse it later.</summary>
    private JournalRow FirstRow(WorkflowId id, SignalCall signal, WorkflowType type)
    {
        CheckMessageId(id, signal);
        FormattableString what = $"Signal {signal.Name} of workflow '{id}'";
        var payload = CheckPayload(signal.Payload, what);
        var method = type.Signals.GetValueOrDefault(signal.Name);
        if (method is not null)
        {
            Context.Payloads.ReadArguments(payload, method, what, out _);
        }
        else if (!signal.IsTopic)
        {
            throw new UnknownMethodException($"Workflow '{id}' ({type.Name}) has no signal '{signal.Name}'.");
        }

        return new JournalRow(
            method is null ? JournalKind.Topic : JournalKind.Signal, 0, signal.Name, payload) { MessageId = signal.MessageId };
    }

    /// <summary>What the run waits for, as its owner or else the database knows it; null where it has ended, or runs, or another silo has
    /// it in memory.</summary>
    private async Task<WorkflowWait?> WaitsAsync(StoredRun row)
    {
        switch (row.Status)
        {
            case WorkflowStatus.NotBegun:
                return new WorkflowWait(WaitingFor.Begin, "", row.BeginsAt, 0, Sentences.NotBegun(row));
            case WorkflowStatus.SetAside:
                return new WorkflowWait(WaitingFor.People, "", null, 0, $"was set aside: {await ProblemAsync(row)}");
            case not WorkflowStatus.Running:
                return null;
        }

        var resident = Resident(row.Id);
        if (resident is null && row.Owner is not null && !row.OwnerDead)
        {
            return null;
        }

        if (resident is null && !Context.Codes.All.Contains(row.Code) && (await Context.Runs.FindSilosAsync(row.Code)).Count == 0)
        {
            return new WorkflowWait(WaitingFor.Version, row.Version, null, 0, Sentences.NoSilo(row));
        }

        return (resident is null ? await Context.Runs.ReadWaitAsync(row.Instance) : await resident.WaitsAsync()) is { } wait
            ? new WorkflowWait(
                wait.Kind, wait.Name, wait.Until, wait.Others, Sentences.Waits(wait, await FailuresAsync(row, wait)))
            : null;
    }

    private async Task<(int, string)?> FailuresAsync(StoredRun row, WaitRow wait) =>
        wait.Kind is WaitingFor.Attempt or WaitingFor.Body && await Context.Runs.ReadFailuresAsync(row.Instance, wait.Seq) is { } failures
            ? (failures.Count, Answers.Recorded(failures.Last, Context.Payloads, $"Error of '{wait.Name}'").Message) : null;

    private async Task<ResultReply> EndedAsync(StoredRun row)
    {
        var kind = row.Status == WorkflowStatus.Completed ? JournalKind.Completed : JournalKind.Failed;
        return Answers.Ended(kind, await LastRowAsync(row, kind), Context.Payloads);
    }

    private async Task<string?> ProblemAsync(StoredRun row) => row.Status switch
    {
        WorkflowStatus.SetAside => Answers.Recorded(await LastRowAsync(row, JournalKind.SetAside), Context.Payloads, $"Reason").Message,
        WorkflowStatus.Failed when Answers.Recorded(await LastRowAsync(row, JournalKind.Failed), Context.Payloads, $"Error") is var error =>
            $"{error.Type}: {error.Message}",
        _ => Context.Findings.Of(row) ?? (Resident(row.Id) is { } resident ? await resident.ProblemAsync() : null),
    };

    private async Task<Payload> LastRowAsync(StoredRun row, JournalKind kind) =>
        await Context.Runs.ReadLastRowAsync(row.Instance, kind) ?? throw NotFound(row.Id); // Retention took it just now.

    private const int MovesAtOnce = 10; // From then on with pauses: a run that leaves each time meets fault after fault.

    /// <summary>A run may leave memory between being found and being asked; then it is looked for again. Not when another silo has
    /// it.</summary>
    private async Task<T> RepeatAsync<T>(WorkflowId id, Func<Task<T>> call)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await call();
            }
            catch (MovedException moved)
            {
                if (moved.Fenced && await IsElsewhereAsync(id))
                {
                    throw;
                }

                if (tries > MovesAtOnce)
                {
                    await Task.Delay(PostgresFaults.Pause(tries - MovesAtOnce));
                }

                await Task.Yield();
            }
        }
    }

    /// <summary>This silo may itself be the other owner, and the run may have ended since.</summary>
    private async Task<bool> IsElsewhereAsync(WorkflowId id) => !_residents.ContainsKey(id) && !_opening.ContainsKey(id)
        && await Context.Claims.ReadRunAsync(id) is { Status: WorkflowStatus.Running, Owner: { } owner } && owner != Context.Database.Silo;

    /// <summary>The call is about this run, and from a caller with its contract: two may share a stored name, so a caller's is compared
    /// with the one that this silo has under it.</summary>
    private void CheckCaller(StoredRun? run, WorkflowCall call)
    {
        if (run is null)
        {
            return;
        }

        CheckContract(run.Id, run.Type, call);
        if (call.Run is { } meant && meant != run.Run)
        {
            throw new WorkflowNotFoundException($"Workflow '{run.Id}' has another run than {meant} by now: {run.Run}.");
        }
    }

    private void CheckContract(WorkflowId id, string type, WorkflowCall call)
    {
        if (call.Contracts is { Count: > 0 } theirs && Context.Types.Find(type) is { Contract: var ours } && ours.Name == type
            && !theirs.Intersect(ours.FullNames).Any())
        {
            throw new WorkflowTypeMismatchException(
                $"Workflow '{id}': {type} is {ours.FullName} here, and the caller's contract is {theirs[0]}: use the workflow's own "
                    + $"contract, or give one of them another [WorkflowName].");
        }
    }

    private void ThrowIfDifferent(StoredRun? run)
    {
        if (run is not null)
        {
            Context.Findings.ThrowIfAny(run);
        }
    }

    private static void CheckMessageId(WorkflowId id, SignalCall signal)
    {
        CheckName(id, signal.Name, "the name of a signal or topic");
        CheckName(id, signal.MessageId, "a message id");
    }

    private static void CheckName(WorkflowId id, string? name, string what)
    {
        if (NameRule.Broken(name, what) is { } sentence)
        {
            throw new UnknownMethodException($"Workflow '{id}': {sentence}");
        }
    }

    private static WorkflowNotFoundException NotFound(WorkflowId id) =>
        new($"There is no workflow '{id}': start it first, or check id and namespace.");
}
