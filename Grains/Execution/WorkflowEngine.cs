using System.Collections.Concurrent;
using Actors.Programs;
using Actors.Storage;
using Actors.Wire;
using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>
/// All runs in this process's memory, and the way in: starts them, loads them, hands calls to them, lets them rest. It knows nothing of
/// Orleans; asking another silo is a function that it is given.
/// </summary>
internal sealed partial class WorkflowEngine(EngineContext context, InstanceNumbers numbers, ILogger<WorkflowEngine> log) : IAsyncDisposable
{
    // Faults of the engine with one run, without a commit in between, after which none of it is run again.
    private const int FaultLimit = 3;

    private readonly ConcurrentDictionary<WorkflowId, ResidentRun> _residents = new();
    private readonly ConcurrentDictionary<WorkflowId, Lazy<Task<Opened>>> _opening = new();
    private readonly ConcurrentDictionary<WorkflowId, bool> _unsure = new();
    private EngineWatch? _watch;
    private volatile bool _stopping;

    /// <summary>Asks the live owner of a run to give it away. Set by the cluster; without one, the run is waited for and then
    /// taken.</summary>
    public Func<StoredRun, Task>? AskOwner { get; set; }

    public EngineContext Context { get; } = context;

    public IEnumerable<ResidentRun> Residents => _residents.Select(resident => resident.Value);

    public int ResidentCount => _residents.Count;

    /// <summary>It takes no more runs.</summary>
    public bool IsStopping => _stopping;

    /// <summary>Runs that the database may hold for this silo although they are not in its memory: their claim was not answered, or a fault
    /// threw them out. Nobody else finds them, so they must be woken until that is answered.</summary>
    public IEnumerable<WorkflowId> Unsure => _unsure.Keys;

    public ResidentRun? Resident(WorkflowId id) => _residents.GetValueOrDefault(id);

    /// <summary>Hears the database's time, which timers need, and the numbers of its types. Throws when Postgres cannot be
    /// reached.</summary>
    /// <exception cref="SchemaSettingException">The database's silos have agreed on something that this build does otherwise.</exception>
    /// <exception cref="WorkflowNameTakenException">The name of one of its types belongs to another contract in this database.</exception>
    public async Task StartAsync(CancellationToken cancellation = default)
    {
        await Settings.CompareAsync(Context.Database, cancellation);
        Context.Clock.Observe(await Context.Runs.ReadTimeAsync(cancellation));
        await Context.Codes.RegisterAsync(cancellation);
        _watch ??= new EngineWatch(this, Context.Loggers.CreateLogger<EngineWatch>());
    }

    /// <summary>The run in memory, or what the database says of it: null when there is none, its row when it has ended or was set
    /// aside.</summary>
    /// <param name="ask">Asks another silo for the run, if one has it in memory. Else its row comes back, as running.</param>
    /// <exception cref="UnknownWorkflowTypeException">It runs, and this silo lacks its type: it was not claimed.</exception>
    public async Task<Opened> OpenAsync(WorkflowId id, bool ask = true)
    {
        while (true)
        {
            if (_residents.TryGetValue(id, out var resident))
            {
                _unsure.TryRemove(id, out _);
                return new Opened(resident, resident.Row);
            }

            var opening = _opening.GetOrAdd(id, (key, ask) => new Lazy<Task<Opened>>(() => LoadAsync(key, ask)), ask);
            try
            {
                var opened = await opening.Value;
                _unsure.TryRemove(id, out _);
                if (!ask || !opened.IsElsewhere)
                {
                    return opened;
                }
            }
            catch (Exception error) when (error is not ActorsException)
            {
                _unsure[id] = true;
                throw;
            }
            finally
            {
                _opening.TryRemove(KeyValuePair.Create(id, opening));
            }
        }
    }

    /// <summary>Makes the run that a start asks for, in memory from its first commit on, or finds what is there. A message that comes with
    /// the start is committed with a run that this makes; who attached sends it on its own.</summary>
    public async Task<StartReply> StartAsync(WorkflowId id, StartCall request)
    {
        var type = Context.Types.Get(request.Type, id);
        CheckContract(id, request.Type, request);
        if (request.RequestId is not null)
        {
            CheckName(id, request.RequestId, "a request id");
        }

        var input = CheckInput(id, request.Input, type);
        TimeSpan? delay = request.Delay > TimeSpan.Zero ? request.Delay : null;
        var first = request.Signal is { } signal ? FirstRow(id, signal, type) : null;
        var attaches = request.Policy == StartPolicy.Attach; // Else what is in memory is not asked: its run may have ended elsewhere.
        StoredRun? retires = null;
        while (true)
        {
            if (attaches && _residents.TryGetValue(id, out var resident))
            {
                return Attached(id, request, resident.Row);
            }

            var start = new Start(id, request.Type, Context.Codes.Of(request.Type), await numbers.TakeAsync(), Guid.NewGuid(), input)
            {
                Retires = retires, First = first, RequestId = attaches ? null : request.RequestId, Delay = delay,
            };
            if (await TryMakeAsync(start, type))
            {
                return new StartReply(null, start.Run, Started: true);
            }

            var found = await Context.Claims.ReadRunAsync(id); // Null: it was deleted in between.
            if (found is not null && start.RequestId is { } asked && await FindStartAsync(found, asked, request) is { } earlier)
            {
                return earlier;
            }

            if (found is not null && !OpensAnother(request, found))
            {
                return Attached(id, request, found);
            }

            retires = found;
        }
    }

    /// <summary>Whether the start opens a further run behind the one that has its id.</summary>
    private static bool OpensAnother(StartCall request, StoredRun found) =>
        request.Policy == StartPolicy.StartNew && found.Type == request.Type
        && found.HasEnded;

    /// <summary>The reply that an earlier try of this start had or would have had, or null: it made a run, or its signal went to one that
    /// it found. A message that a run has taken opens no further one: that would wait for it for ever.</summary>
    private async Task<StartReply?> FindStartAsync(StoredRun found, string requestId, StartCall request)
    {
        if (found.Type != request.Type)
        {
            return null;
        }

        if (await Context.Runs.FindMessageAsync(found.Workflow, requestId, MessageIdKind.Start) is { } made)
        {
            return new StartReply(null, Context.Payloads.Read<Guid>(made, $"The run of request '{requestId}'"), Started: true);
        }

        if (request.Signal is not { MessageId: { } sent } || (sent != requestId && request.Policy != StartPolicy.StartNew)
            || await Context.Runs.FindMessageAsync(found.Workflow, sent, MessageIdKind.Message) is not { } told)
        {
            return null;
        }

        var run = told.Data is null ? found.Run : Context.Payloads.Read<Guid>(told, $"The run that took message '{sent}'");
        return new StartReply(null, run, Started: false);
    }

    /// <summary>False when the id is taken, or the number.</summary>
    private async Task<bool> TryMakeAsync(Start start, WorkflowType type)
    {
        if (_stopping)
        {
            throw new WorkflowUnavailableException($"Workflow '{start.Id}': this silo is shutting down, repeat the start.");
        }

        var reply = await Context.Journal.StartAsync(start).ConfigureAwait(false);
        switch (reply)
        {
            case { Outcome: CommitOutcome.Committed }:
                Context.Clock.Observe(reply.At);
                if (start.Delay is { } delay)
                {
                    BeginAt(start.Id, DueTime.After(reply.At, delay));
                }
                else
                {
                    var run = new StoredRun(
                        start.Id, start.Instance, start.Run, start.Type, WorkflowStatus.Running, 1, start.Position, 0,
                        Context.Database.Silo, reply.At, null, null, false, start.Workflow, start.Code);
                    await EnterAsync(run, type, start.Rows(reply.At), []);
                }

                return true;
            case { Outcome: CommitOutcome.Rejected, Error: { } error } when PostgresFaults.IsSiloDead(error):
                throw new WorkflowUnavailableException($"Workflow '{start.Id}': this silo was declared dead, repeat the start.");
            case { Outcome: CommitOutcome.Rejected }:
                throw new PayloadException($"Workflow '{start.Id}': the database refuses the start: {reply.Error?.Message}");
            default:
                if (reply.Outcome == CommitOutcome.Unmoved)
                {
                    numbers.Skip();
                }

                return false;
        }
    }

    /// <summary>The reply of a start that made no run, or why it may not attach.</summary>
    private static StartReply Attached(WorkflowId id, StartCall request, StoredRun found) =>
        found.Type != request.Type
            ? throw new WorkflowTypeMismatchException(
                $"Workflow '{id}' exists and is a {found.Type}, not a {request.Type}: choose another id.")
        : request.Policy == StartPolicy.Reject
            ? throw new WorkflowExistsException($"Workflow '{id}' exists ({found.Status}): choose another id, or another StartPolicy.")
        : new StartReply(null, found.Run, Started: false);

    /// <summary>The numbers at hand for new runs are not used.</summary>
    internal void SkipNumbers() => numbers.Skip();

    /// <summary>Lets runs that only wait leave memory.</summary>
    public void RestIdle()
    {
        foreach (var resident in _residents.Values)
        {
            resident.RestIfIdle(Context.Options.RestAfter);
        }
    }

    /// <summary>Gives every run away, so that other silos take those that have work to do at once. Returns when all have left or the time
    /// is up.</summary>
    public async Task DrainAsync(TimeSpan limit)
    {
        _stopping = true;
        var leaving = _residents.Values.Select(resident => resident.ReleaseAsync()).ToList();
        LogDraining(leaving.Count);
        await Task.WhenAny(Task.WhenAll(leaving), Task.Delay(limit));
        LogDrained(_residents.Count);
    }

    public async ValueTask DisposeAsync()
    {
        _watch?.Dispose();
        await Context.Journal.DisposeAsync();
        await Context.Claims.DisposeAsync();
        Context.Timers.Dispose();
        numbers.Dispose();
        await Context.Database.DisposeAsync();
    }

    /// <summary>The input as it will be stored: within the limits, and readable as the type that the workflow takes.</summary>
    private Payload CheckInput(WorkflowId id, Payload input, WorkflowType type) =>
        CheckPayload(input, $"Input of workflow '{id}'", type.InputType);

    /// <summary>What a caller sent, as it will be stored: within the limits, JSON, and readable as the type, if there is one. The size
    /// comes first: it bounds what reading costs.</summary>
    private Payload CheckPayload(Payload payload, FormattableString what, Type? type = null)
    {
        var stored = payload.Encoded ? Context.Payloads.CheckedEncoded(payload, what)
            : Context.Payloads.Checked(payload.Data ?? "null"u8.ToArray(), what);
        Context.Payloads.Read(payload, type ?? typeof(System.Text.Json.JsonElement), what);
        return stored;
    }

    private async Task<ResidentRun> EnterAsync(
        StoredRun run, WorkflowType type, List<JournalRow> history, List<LetterRow> letters, Action? replayed = null)
    {
        ResidentRun resident;
        try
        {
            resident = new ResidentRun(Context, run, type, history, letters, Left, replayed);
        }
        catch (Exception) when (_stopping)
        {
            // What it takes may be gone already.
            throw new WorkflowUnavailableException($"Workflow '{run.Id}': this silo is shutting down, ask again.");
        }
        catch (Exception error)
        {
            var reason = $"Workflow '{run.Id}': {type.Implementation.Name} cannot be made ({ErrorText.MessageOf(error)}): register what "
                + $"its constructor takes, then resume it.";
            await SetAsideAsync(run, reason);
            throw new WorkflowSetAsideException($"Workflow '{run.Id}' was set aside: {reason}");
        }

        // A run that was just started may have been claimed here meanwhile, by a wake: the later claim is the owner.
        ResidentRun? former = null;
        var entered = _residents.AddOrUpdate(run.Id, resident, (_, other) =>
        {
            former = other.Row.Instance == run.Instance && other.Epoch > run.Epoch ? null : other;
            return former is null ? other : resident;
        });
        if (entered != resident)
        {
            replayed?.Invoke(); // It never will.
            return entered;
        }

        former?.GiveWay();
        resident.Begin();
        if (_stopping)
        {
            _ = resident.ReleaseAsync();
        }

        return resident;
    }

    private void Left(ResidentRun resident)
    {
        if (resident.Evicted == Eviction.Faulted)
        {
            _unsure[resident.Id] = true;
        }

        _residents.TryRemove(KeyValuePair.Create(resident.Id, resident));
    }
}
