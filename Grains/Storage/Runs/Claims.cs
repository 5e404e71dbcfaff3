using Npgsql;
using NpgsqlTypes;

namespace Actors.Storage;

/// <summary>
/// Claims runs and loads them, those that are asked for together in one round trip. A claim raises the epoch, so whoever owned the run
/// before can commit nothing more; the history is read after the claim holds the row.
/// </summary>
internal sealed class Claims : IAsyncDisposable
{
    /// <summary>Most letters of one run that are read at once: it bounds the memory that a flood of letters takes, and the entry that gives
    /// it positions.</summary>
    public const int LettersMax = 10_000;

    private static readonly string ClaimRuns = SqlText.Get("claim_runs");
    private static readonly string ReadRuns = SqlText.Get("read_runs");
    private static readonly string ReadJournals = SqlText.Get("read_journals");
    private static readonly string ReadInboxes = SqlText.Get("read_inboxes");
    private static readonly string ReadLetters = SqlText.Get("read_letters");
    private static readonly string EnterRun = SqlText.Get("enter_run");
    private static readonly string BringBack = SqlText.Get("bring_back");
    private static readonly string Unpark = SqlText.Get("unpark");
    private const int HistoriesMax = 4 * 1024 * 1024; // Bytes of one answer.

    private const int AgainMax = 3;

    private readonly EngineDatabase _database;
    private readonly Codes _codes;
    private readonly int _claimsCounted;
    private readonly LoadBudget _loading = new();
    private readonly SemaphoreSlim _large = new(1); // Histories that no limit of an answer holds come one after the other.
    private readonly SlotRunner<Request<LoadedRun>> _claims;
    private readonly SlotRunner<Request<StoredRun>> _reads;

    /// <param name="codes">The workflow types that this silo has; runs of others, and those that it left alone, are
    /// never claimed.</param>
    /// <param name="crashLimit">Crashes after which a run is set aside. Claims alone count up to one below it.</param>
    public Claims(EngineDatabase database, Codes codes, int groupSizeMax, int crashLimit)
    {
        (_database, _codes, _claimsCounted) = (database, codes, Math.Clamp(crashLimit - 1, 1, 2));
        _claims = new SlotRunner<Request<LoadedRun>>(new GroupQueue<Request<LoadedRun>>(2, groupSizeMax), AnswerClaimsAsync);
        _reads = new SlotRunner<Request<StoredRun>>(
            new GroupQueue<Request<StoredRun>>(2, groupSizeMax), group => AnswerAsync(group, () => ReadRunsAsync(group)));
    }

    /// <summary>The run with its history if this silo owns it now; else the run as it stands, with an empty history; null when there is
    /// none.</summary>
    /// <param name="force">Take it from a live owner too: only after that owner was asked and did not answer.</param>
    /// <exception cref="NpgsqlException">Postgres could not be reached; nothing, or the claim alone, has happened: ask again.</exception>
    public Task<LoadedRun?> ClaimAsync(WorkflowId id, bool force = false) => AskAsync(_claims, new Request<LoadedRun>(id, force));

    /// <summary>The run as it stands with its whole history, without claiming it.</summary>
    public async Task<LoadedRun?> ReadAsync(WorkflowId id) =>
        (await LoadAsync([new Request<LoadedRun>(id, false)], claim: false)).Values.FirstOrDefault();

    /// <summary>Before the code of a run goes on that was in memory of silos that died: from its second death on, whoever dies with it is
    /// counted here, and not by the claim, which may come to nothing before the code runs. Returns the count.</summary>
    public async Task<int> EnterAsync(StoredRun run) => run.CrashCount < _claimsCounted ? run.CrashCount : await _database.QueryAsync(
        _database.Engine,
        "enter",
        batch => batch.Add(
            EnterRun,
            new NpgsqlParameter<long> { TypedValue = run.Instance },
            new NpgsqlParameter<int> { TypedValue = run.Epoch },
            new NpgsqlParameter<Guid> { TypedValue = _database.Silo }),
        async reader => await reader.ReadAsync() ? reader.GetInt16(0) : run.CrashCount);

    /// <summary>The run's row alone.</summary>
    public Task<StoredRun?> ReadRunAsync(WorkflowId id) => AskAsync(_reads, new Request<StoredRun>(id, false));

    /// <summary>Timers and letters of a run that was parked, and that this silo has claimed: sweeps find them again. Returns the
    /// letters.</summary>
    public async Task<List<LetterRow>> BringBackAsync(StoredRun run)
    {
        await _database.ExecuteAsync("bring back", batch =>
        {
            batch.Add(
                BringBack,
                new NpgsqlParameter<long> { TypedValue = run.Instance },
                new NpgsqlParameter<Guid> { TypedValue = _database.Silo },
                new NpgsqlParameter<int> { TypedValue = run.Epoch });
            batch.Add(
                Unpark,
                new NpgsqlParameter<string> { TypedValue = run.Id.Namespace },
                new NpgsqlParameter<string> { TypedValue = run.Id.Id });
        });
        return await ReadLettersAsync(run.Workflow);
    }

    /// <summary>Letters of a workflow that have no position in the journal yet, the first <see cref="LettersMax"/> of them.</summary>
    public async Task<List<LetterRow>> ReadLettersAsync(long workflow) => await _database.QueryAsync(
        _database.Engine,
        "read letters",
        batch => batch.Add(ReadLetters, new NpgsqlParameter<long> { TypedValue = workflow },
            new NpgsqlParameter<int> { TypedValue = LettersMax }),
        async reader =>
        {
            var letters = new List<LetterRow>();
            while (await reader.ReadAsync())
            {
                letters.Add(new LetterRow(reader.GetString(1), reader.GetString(2), RowReading.Payload(reader, 3)));
            }

            return letters;
        });

    public async ValueTask DisposeAsync()
    {
        await _claims.DisposeAsync();
        await _reads.DisposeAsync();
    }

    private static Task<T?> AskAsync<T>(SlotRunner<Request<T>> groups, Request<T> request)
        where T : class
    {
        if (!groups.TryAdd(request))
        {
            request.Done.TrySetException(
                new WorkflowUnavailableException($"Workflow '{request.Id}': this silo is shutting down, ask again."));
        }

        return request.Done.Task;
    }

    private static async Task AnswerAsync<T>(List<Request<T>> group, Func<Task<Dictionary<WorkflowId, T>>> read)
        where T : class
    {
        try
        {
            var found = await read();
            foreach (var request in group)
            {
                request.Done.SetResult(found.GetValueOrDefault(request.Id));
            }
        }
        catch (Exception error)
        {
            foreach (var request in group)
            {
                request.Done.TrySetException(error);
            }
        }
    }

    private async Task<Dictionary<WorkflowId, StoredRun>> ReadRunsAsync(List<Request<StoredRun>> group)
    {
        var ids = group.Select(r => r.Id).Distinct().ToList();
        return await _database.QueryAsync(
            _database.Engine,
            "look",
            batch => batch.Add(ReadRuns, Text([.. ids.Select(id => id.Namespace)]), Text([.. ids.Select(id => id.Id)])),
            async reader =>
            {
                var runs = new Dictionary<WorkflowId, StoredRun>();
                while (await reader.ReadAsync())
                {
                    var run = StoredRun.Read(reader);
                    runs[run.Id] = run;
                }

                return runs;
            });
    }

    /// <summary>Those whose histories came with the claim are answered at once, the others by and by, apart from what else is
    /// claimed.</summary>
    private async Task AnswerClaimsAsync(List<Request<LoadedRun>> group)
    {
        try
        {
            await _loading.RoomAsync();
            var rest = HandOut(group, await LoadAsync(group, claim: true));
            if (rest.Count > 0)
            {
                _ = LoadRestAsync(rest);
            }
        }
        catch (PostgresException error) when (PostgresFaults.IsLocked(error) && group.Count > 1)
        {
            await Task.WhenAll(group.Select(request => AnswerClaimsAsync([request]))); // One of them is held by somebody: not the others.
        }
        catch (Exception error)
        {
            group.ForEach(request => request.Done.TrySetException(error));
        }
    }

    private async Task LoadRestAsync(List<(Request<LoadedRun> Request, LoadedRun Run)> rest)
    {
        try
        {
            while (rest.Count > 0)
            {
                var left = await ReadRestAsync(rest);
                if (left.Count == rest.Count)
                {
                    left.ForEach(r => AskAgain(r.Request)); // They have other owners meanwhile.
                    return;
                }

                rest = left;
            }
        }
        catch (Exception error)
        {
            rest.ForEach(r => r.Request.Done.TrySetException(error));
        }
    }

    private void AskAgain(Request<LoadedRun> request)
    {
        if (request.Again++ < AgainMax)
        {
            _ = AskAsync(_claims, request);
        }
        else
        {
            request.Done.TrySetException(
                new InvalidDataException($"Workflow '{request.Id}' has a row and no history: somebody changed the tables."));
        }
    }

    /// <summary>Reads the first of them, whatever its size, and as many more as fit. Returns the others.</summary>
    private async Task<List<(Request<LoadedRun> Request, LoadedRun Run)>> ReadRestAsync(
        List<(Request<LoadedRun> Request, LoadedRun Run)> rest)
    {
        await _large.WaitAsync();
        try
        {
            await _loading.RoomAsync();
            var (namespaces, ids) = Keys([.. rest.Select(r => r.Run.Row.Id)]);
            var runs = rest.DistinctBy(r => r.Run.Row.Instance).ToDictionary(r => r.Run.Row.Instance, r => r.Run);
            await _database.QueryAsync(
                _database.Engine,
                "read more",
                batch => batch.Add(
                    ReadJournals, Text(namespaces), Text(ids), Owner(_database.Silo), Bytes(HistoriesMax), FirstAnyway(true)),
                reader => ReadHistoriesAsync(reader, runs));
            return HandOut([.. rest.Select(r => r.Request)], runs.Values.ToDictionary(run => run.Row.Id));
        }
        finally
        {
            _large.Release();
        }
    }

    /// <summary>Returns those that this silo has claimed and whose history has not been read.</summary>
    private List<(Request<LoadedRun> Request, LoadedRun Run)> HandOut(
        List<Request<LoadedRun>> group, Dictionary<WorkflowId, LoadedRun> found)
    {
        var rest = new List<(Request<LoadedRun>, LoadedRun)>();
        foreach (var request in group)
        {
            var run = found.GetValueOrDefault(request.Id);
            if (run is { History.Count: 0, Row: { Status: WorkflowStatus.Running } row } && row.Owner == _database.Silo)
            {
                rest.Add((request, run));
            }
            else
            {
                request.Done.TrySetResult(run?.Counted(_loading));
            }
        }

        return rest;
    }

    private async Task<Dictionary<WorkflowId, LoadedRun>> LoadAsync(List<Request<LoadedRun>> group, bool claim)
    {
        var ids = group.Select(r => r.Id).Distinct().ToList();
        var (namespaces, names) = Keys(ids);
        var forced = ids.Select(id => group.Any(r => r.Id == id && r.Force)).ToArray();
        return await _database.QueryAsync(
            _database.Engine,
            claim ? "claim" : "read",
            batch =>
            {
                if (claim)
                {
                    batch.Add(
                        ClaimRuns,
                        Text(namespaces),
                        Text(names),
                        new NpgsqlParameter<bool[]> { TypedValue = forced },
                        new NpgsqlParameter<Guid> { TypedValue = _database.Silo },
                        new NpgsqlParameter<int[]> { TypedValue = _codes.All },
                        new NpgsqlParameter<int> { TypedValue = _claimsCounted },
                        new NpgsqlParameter<int[]> { TypedValue = _codes.Versions.From },
                        new NpgsqlParameter<int[]> { TypedValue = _codes.Versions.To },
                        new NpgsqlParameter<int> { TypedValue = _codes.Formats.LastKind },
                        new NpgsqlParameter<int> { TypedValue = _codes.Formats.FlagCount });
                }

                var owner = claim ? _database.Silo : (Guid?)null;
                batch.Add(ReadRuns, Text(namespaces), Text(names));
                batch.Add(
                    ReadJournals, Text(namespaces), Text(names), Owner(owner), Bytes(HistoriesMax), FirstAnyway(!claim));
                batch.Add(ReadInboxes, Text(namespaces), Text(names), Owner(owner), new NpgsqlParameter<int> { TypedValue = LettersMax });
            },
            ReadAsync);
    }

    private static async Task<Dictionary<WorkflowId, LoadedRun>> ReadAsync(NpgsqlDataReader reader)
    {
        var runs = new Dictionary<long, LoadedRun>();
        while (await reader.ReadAsync())
        {
            var row = StoredRun.Read(reader);
            runs[row.Instance] = new LoadedRun(row, [], []);
        }

        await reader.NextResultAsync();
        await ReadHistoriesAsync(reader, runs);
        await reader.NextResultAsync();
        while (await reader.ReadAsync())
        {
            runs.GetValueOrDefault(reader.GetInt64(0))?.Letters.Add(
                new LetterRow(reader.GetString(1), reader.GetString(2), RowReading.Payload(reader, 3)));
        }

        return runs.Values.ToDictionary(run => run.Row.Id);
    }

    private static async Task<bool> ReadHistoriesAsync(NpgsqlDataReader reader, Dictionary<long, LoadedRun> runs)
    {
        while (await reader.ReadAsync())
        {
            // Each statement sees what has committed by then: a run that came since is not there yet.
            runs.GetValueOrDefault(reader.GetInt64(0))?.History.Add(RowReading.JournalRow(reader));
        }

        return true;
    }

    private static (string[] Namespaces, string[] Ids) Keys(List<WorkflowId> ids) =>
        ([.. ids.Select(id => id.Namespace)], [.. ids.Select(id => id.Id)]);

    private static NpgsqlParameter<bool> FirstAnyway(bool isFirst) => new() { TypedValue = isFirst };

    private static NpgsqlParameter<int> Bytes(int count) => new() { TypedValue = count };

    private static NpgsqlParameter<string[]> Text(string[] values) =>
        new() { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text };

    private static NpgsqlParameter Owner(Guid? owner) => new() { Value = (object?)owner ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid };

    private sealed record Request<T>(WorkflowId Id, bool Force)
        where T : class
    {
        /// <summary>Times that it was claimed and then not read.</summary>
        public int Again { get; set; }

        public TaskCompletionSource<T?> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
