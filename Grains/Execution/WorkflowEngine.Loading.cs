using Actors.Programs;
using Actors.Storage;

namespace Actors.Execution;

/// <summary>From a claim to a run in memory, or to the word why this silo does not go on with it.</summary>
internal sealed partial class WorkflowEngine
{
    private async Task<Opened> LoadAsync(WorkflowId id, bool ask)
    {
        if (_stopping)
        {
            throw new WorkflowUnavailableException($"Workflow '{id}': this silo is shutting down, ask again.");
        }

        var asked = 0L;
        while (true)
        {
            var force = asked != 0 && Context.Time.GetElapsedTime(asked) > Context.Options.ReleaseWait;
            var loaded = await Context.Claims.ClaimAsync(id, force);
            if (loaded is not { Row: { Status: WorkflowStatus.Running } row })
            {
                return new Opened(null, loaded?.Row);
            }

            if (row.Owner == Context.Database.Silo)
            {
                return await AdmitAsync(loaded);
            }

            Context.Types.Get(row.Type, id);
            if (NotMine(row) is { } reason)
            {
                return new Opened(null, row, reason);
            }

            if (!ask)
            {
                return new Opened(null, row);
            }

            if (asked == 0)
            {
                asked = Context.Time.GetTimestamp();
                LogAsking(id, row.OwnerAddress);
                _ = AskOwner?.Invoke(row);
            }
            else
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20 + Random.Shared.Next(30)));
            }
        }
    }

    /// <summary>Wakes a run that was started here at the time at which it begins, where that is soon. Else the sweep after it
    /// does.</summary>
    private void BeginAt(WorkflowId id, DateTimeOffset due)
    {
        if (due - Context.Clock.Now <= Context.Options.LookAhead)
        {
            Context.Timers.Schedule(due, () => _ = Task.Run(() => BeginAsync(id)));
        }
    }

    private async Task BeginAsync(WorkflowId id)
    {
        try
        {
            await WakeAsync(id);
        }
        catch (Exception error)
        {
            LogNotBegun(id, error.Message); // A sweep finds it.
        }
    }

    /// <summary>Why this silo does not go on with a run that nobody has in memory, or null.</summary>
    private string? NotMine(StoredRun row) => row.Owner is not null && !row.OwnerDead ? null
        : !Context.Codes.All.Contains(row.Code) ? Sentences.NoVersion(row)
        : row.Flags.HasFlag(RunFlags.Parked) ? Sentences.LeftAlone(row.Id) : null;

    /// <summary>A run that this silo has just claimed. Whatever comes of it, its history takes no room of those that are loaded.</summary>
    private async Task<Opened> AdmitAsync(LoadedRun loaded)
    {
        try
        {
            var opened = await JudgeAsync(loaded) ?? await EnterAsync(loaded);
            if (opened.Run is null)
            {
                loaded.Replayed();
            }

            return opened;
        }
        catch
        {
            loaded.Replayed();
            throw;
        }
    }

    /// <summary>What becomes of a run that is not to go on here; null: it is.</summary>
    private async Task<Opened?> JudgeAsync(LoadedRun loaded)
    {
        var row = loaded.Row;
        if (Context.Codes.Formats.Lacking(row, loaded.History) is { } lacks)
        {
            await LeaveAloneAsync(row, lacks);
            return new Opened(null, row, Sentences.LeftAlone(row.Id));
        }

        var (faults, last) = Context.Faults.GetValueOrDefault(row.Id);
        if (row.CrashCount < Context.Options.CrashLimit && faults < FaultLimit)
        {
            return null;
        }

        // Not even its code is run: whatever brought the silos down, or the engine to its end, may happen in it.
        await SetAsideAsync(row, faults >= FaultLimit
            ? $"the engine failed {faults} times with it, without a commit in between, last with {last}"
            : $"Workflow '{row.Id}' was in memory of {row.CrashCount} silos that died, without a commit in between "
                + $"(CrashLimit {Context.Options.CrashLimit}). Find what kills the process, then resume it.");
        Context.Faults.TryRemove(row.Id, out _);
        return new Opened(null, row with { Status = WorkflowStatus.SetAside, Owner = null });
    }

    private async Task<Opened> EnterAsync(LoadedRun loaded)
    {
        var row = loaded.Row;
        // Letters that were parked did not come with the claim.
        var letters = row.Flags.HasFlag(RunFlags.Parked) ? await Context.Claims.BringBackAsync(row) : loaded.Letters;
        row = row with { CrashCount = await Context.Claims.EnterAsync(row) };
        var type = Context.Types.Get(row.Type, row.Id);
        return new Opened(await EnterAsync(row, type, loaded.History, letters, loaded.Replayed), row);
    }

    private async Task SetAsideAsync(StoredRun row, string reason)
    {
        LogSetAside(row.Id, reason);
        var entry = Leaving(row);
        (entry.Status, entry.ClearsWait) = (WorkflowStatus.SetAside, row.MayHaveWait);
        entry.Rows.Add(Answers.SetAside(row.Type, reason, Context.Payloads) with { Position = row.Position + 1 });
        await CommitAsync(entry, row, reason);
    }

    /// <summary>Its history or row holds what only a later build understands: it is parked until a silo that does takes it.</summary>
    private async Task LeaveAloneAsync(StoredRun row, WaitRow lacks)
    {
        LogLeftAlone(row.Id, lacks.Name);
        var entry = Leaving(row);
        entry.Wait = lacks;
        await CommitAsync(entry, row, lacks.Name);
    }

    private static Entry Leaving(StoredRun row) => new()
    {
        Instance = row.Instance, Workflow = row.Workflow, Epoch = row.Epoch, Position = row.Position, Leaves = true,
    };

    private async Task CommitAsync(Entry entry, StoredRun row, string reason)
    {
        var done = new TaskCompletionSource<CommitReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        Context.Journal.Submit(entry, done.SetResult);
        if (await done.Task is { Outcome: CommitOutcome.Rejected, Error: var error })
        {
            throw new WorkflowUnavailableException(
                $"Workflow '{row.Id}' cannot go on ({reason}), and the database refuses to record it: {error?.Message}");
        }
    }
}
