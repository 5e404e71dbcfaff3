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
    private readonly string[] _types;
    private readonly Grouping<Request> _groups;

    /// <param name="types">The workflow types that this silo has; runs of others are never claimed.</param>
    public Claims(EngineDatabase database, string[] types, int groupSizeMax)
    {
        (_database, _types) = (database, types);
        _groups = new Grouping<Request>(2, groupSizeMax, HandleAsync);
    }

    /// <summary>The run with its history if this silo owns it now; else the run as it stands, with an empty history; null when there is none.</summary>
    /// <param name="force">Take it from a live owner too: only after that owner was asked and did not answer.</param>
    /// <exception cref="NpgsqlException">Postgres could not be reached; nothing, or the claim alone, has happened: ask again.</exception>
    public Task<LoadedRun?> ClaimAsync(WorkflowId id, bool force = false)
    {
        var request = new Request(id, force);
        return _groups.TryAdd(request)
            ? request.Done.Task
            : throw new WorkflowUnavailableException($"Workflow '{id}': this silo is shutting down, ask again.");
    }

    /// <summary>The run as it stands with its whole history, without claiming it.</summary>
    public async Task<LoadedRun?> ReadAsync(WorkflowId id) =>
        (await LoadAsync([new Request(id, false)], claim: false)).Values.FirstOrDefault();

    /// <summary>The run's row alone.</summary>
    public async Task<StoredRun?> LookAsync(WorkflowId id) => await _database.QueryAsync<StoredRun?>(
        _database.Engine,
        "look",
        batch => GroupBatch.Statement(batch, ReadWorkflows, Text([id.Namespace]), Text([id.Id])),
        async reader => await reader.ReadAsync() ? StoredRun.Read(reader) : null);

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

    public ValueTask DisposeAsync() => _groups.DisposeAsync();

    private async Task HandleAsync(List<Request> group)
    {
        try
        {
            var loaded = await LoadAsync(group, claim: true);
            foreach (var request in group)
            {
                request.Done.SetResult(loaded.GetValueOrDefault(request.Id));
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

    private async Task<Dictionary<WorkflowId, LoadedRun>> LoadAsync(List<Request> group, bool claim)
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
                        Text(_types));
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

    private sealed record Request(WorkflowId Id, bool Force)
    {
        public TaskCompletionSource<LoadedRun?> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
