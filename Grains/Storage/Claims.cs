using Npgsql;
using NpgsqlTypes;

namespace Actors.Storage;

/// <summary>
/// Claims runs and loads them, those that are asked for together in one round trip. A claim raises the epoch, so whoever owned the run
/// before can commit nothing more; the history is read after the claim holds the row.
/// </summary>
internal sealed class Claims : IAsyncDisposable
{
    /// <summary>Most letters of one run that are read at once: it bounds the memory that a flood of mail takes, and the entry that gives it positions.</summary>
    public const int MailMax = 10_000;

    private static readonly string ClaimWorkflows = SqlText.Get("claim_workflows");
    private static readonly string ReadWorkflows = SqlText.Get("read_workflows");
    private static readonly string ReadJournals = SqlText.Get("read_journals");
    private static readonly string ReadInboxes = SqlText.Get("read_inboxes");
    private static readonly string ReadMail = SqlText.Get("read_mail");

    private readonly EngineDatabase _database;
    private readonly Codes _codes;
    private readonly Grouping<Request<LoadedRun>> _claims;
    private readonly Grouping<Request<StoredRun>> _looks;

    /// <param name="codes">The workflow types that this silo has; runs of others are never claimed.</param>
    public Claims(EngineDatabase database, Codes codes, int groupSizeMax)
    {
        (_database, _codes) = (database, codes);
        _claims = new Grouping<Request<LoadedRun>>(2, groupSizeMax, group => AnswerAsync(group, () => LoadAsync(group, claim: true)));
        _looks = new Grouping<Request<StoredRun>>(2, groupSizeMax, group => AnswerAsync(group, () => LookAsync(group)));
    }

    /// <summary>The run with its history if this silo owns it now; else the run as it stands, with an empty history; null when there is none.</summary>
    /// <param name="force">Take it from a live owner too: only after that owner was asked and did not answer.</param>
    /// <exception cref="NpgsqlException">Postgres could not be reached; nothing, or the claim alone, has happened: ask again.</exception>
    public Task<LoadedRun?> ClaimAsync(WorkflowId id, bool force = false) => AskAsync(_claims, new Request<LoadedRun>(id, force));

    /// <summary>The run as it stands with its whole history, without claiming it.</summary>
    public async Task<LoadedRun?> ReadAsync(WorkflowId id) =>
        (await LoadAsync([new Request<LoadedRun>(id, false)], claim: false)).Values.FirstOrDefault();

    /// <summary>The run's row alone.</summary>
    public Task<StoredRun?> LookAsync(WorkflowId id) => AskAsync(_looks, new Request<StoredRun>(id, false));

    /// <summary>Mail that has no position in the journal yet, the first <see cref="MailMax"/> letters of it.</summary>
    public async Task<List<MailRow>> ReadMailAsync(long instance) => await _database.QueryAsync(
        _database.Engine,
        "read mail",
        batch => GroupBatch.Statement(batch, ReadMail, new NpgsqlParameter<long> { TypedValue = instance }, new NpgsqlParameter<int> { TypedValue = MailMax }),
        async reader =>
        {
            var mail = new List<MailRow>();
            while (await reader.ReadAsync())
            {
                mail.Add(new MailRow(reader.GetString(1), reader.GetString(2), RowReading.Payload(reader, 3)));
            }

            return mail;
        });

    public async ValueTask DisposeAsync()
    {
        await _claims.DisposeAsync();
        await _looks.DisposeAsync();
    }

    private static Task<T?> AskAsync<T>(Grouping<Request<T>> groups, Request<T> request)
        where T : class => groups.TryAdd(request)
        ? request.Done.Task
        : throw new WorkflowUnavailableException($"Workflow '{request.Id}': this silo is shutting down, ask again.");

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

    private async Task<Dictionary<WorkflowId, StoredRun>> LookAsync(List<Request<StoredRun>> group)
    {
        var ids = group.Select(r => r.Id).Distinct().ToList();
        return await _database.QueryAsync(
            _database.Engine,
            "look",
            batch => GroupBatch.Statement(batch, ReadWorkflows, Text([.. ids.Select(id => id.Namespace)]), Text([.. ids.Select(id => id.Id)])),
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

    private async Task<Dictionary<WorkflowId, LoadedRun>> LoadAsync(List<Request<LoadedRun>> group, bool claim)
    {
        var ids = group.Select(r => r.Id).Distinct().ToList();
        string[] namespaces = [.. ids.Select(id => id.Namespace)];
        string[] names = [.. ids.Select(id => id.Id)];
        var forced = ids.Select(id => group.Any(r => r.Id == id && r.Force)).ToArray();
        return await _database.QueryAsync(
            _database.Engine,
            claim ? "claim" : "read",
            batch =>
            {
                if (claim)
                {
                    GroupBatch.Statement(
                        batch,
                        ClaimWorkflows,
                        Text(namespaces),
                        Text(names),
                        new NpgsqlParameter<bool[]> { TypedValue = forced },
                        new NpgsqlParameter<Guid> { TypedValue = _database.Silo },
                        new NpgsqlParameter<int[]> { TypedValue = _codes.All });
                }

                var owner = claim ? _database.Silo : (Guid?)null;
                GroupBatch.Statement(batch, ReadWorkflows, Text(namespaces), Text(names));
                GroupBatch.Statement(batch, ReadJournals, Text(namespaces), Text(names), Owner(owner));
                GroupBatch.Statement(batch, ReadInboxes, Text(namespaces), Text(names), Owner(owner), new NpgsqlParameter<int> { TypedValue = MailMax });
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
        while (await reader.ReadAsync())
        {
            // Each statement sees what has committed by then: a run that came since is not there yet.
            runs.GetValueOrDefault(reader.GetInt64(0))?.History.Add(RowReading.JournalRow(reader));
        }

        await reader.NextResultAsync();
        while (await reader.ReadAsync())
        {
            runs.GetValueOrDefault(reader.GetInt64(0))?.Mail.Add(new MailRow(reader.GetString(1), reader.GetString(2), RowReading.Payload(reader, 3)));
        }

        return runs.Values.ToDictionary(run => run.Row.Id);
    }

    private static NpgsqlParameter<string[]> Text(string[] values) => new() { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text };

    private static NpgsqlParameter Owner(Guid? owner) => new() { Value = (object?)owner ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid };

    private sealed record Request<T>(WorkflowId Id, bool Force)
        where T : class
    {
        public TaskCompletionSource<T?> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
