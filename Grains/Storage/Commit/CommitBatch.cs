using Npgsql;

namespace Actors.Storage;

/// <summary>
/// One commit: starts and entries of different runs, as statements over arrays in the order in which they must run, in one round trip and
/// one transaction. A statement without rows is left out; one that returns rows brings the reader of its own answer.
/// </summary>
/// <param name="starts">In the order of their ids.</param>
/// <param name="entries">In the order of their instances, each at most once.</param>
internal sealed class CommitBatch(IReadOnlyList<Start> starts, IReadOnlyList<Entry> entries, Guid silo, int? siloNumber = null)
{
    private static readonly string BeforeEntry = SqlText.Get("before_entry");

    private readonly List<Action<NpgsqlDataReader>> _readers = [];
    private Dictionary<long, DateTimeOffset>? _made;
    private NpgsqlBatch? _batch;

    public Guid Silo => silo;

    public int? SiloNumber => siloNumber;

    /// <summary>The time that the entries' rows carry.</summary>
    public DateTimeOffset At { get; set; }

    /// <summary>When the run was made; null when its id is taken.</summary>
    public DateTimeOffset? MadeAt(Start start) => _made?.TryGetValue(start.Instance, out var at) is true ? at : null;

    public void Made(long instance, DateTimeOffset at) => (_made ??= [])[instance] = at;

    /// <summary>For a transaction that a body began: what the body has set is put back first, and COMMIT is the last statement.</summary>
    public void WriteWithin(NpgsqlBatch batch)
    {
        _batch = batch;
        Add("reset role", null); // Without the engine's rights the next one would not run.
        Add(BeforeEntry, _ => { });
        Write(batch);
        Add("commit", null);
    }

    /// <summary>For a transaction of its own.</summary>
    public void Write(NpgsqlBatch batch)
    {
        _batch = batch;
        if (starts.Count > 0)
        {
            StartStatements.Add(this, starts);
        }

        if (entries.Count > 0)
        {
            EntryStatements.Add(this, entries);
        }
    }

    /// <param name="row">Reads a row that the statement returns; null where it returns none.</param>
    public void Add(string sql, Action<NpgsqlDataReader>? row, params NpgsqlParameter[] parameters)
    {
        _batch!.Add(sql, parameters);
        if (row is not null)
        {
            _readers.Add(row);
        }
    }

    /// <summary>Each answer by the reader of its statement.</summary>
    public async Task<bool> ReadAsync(NpgsqlDataReader reader)
    {
        var next = 0; // Statements that return no rows have no result among these.
        do
        {
            while (await reader.ReadAsync())
            {
                _readers[next](reader);
            }

            next++;
        }
        while (await reader.NextResultAsync());
        return true;
    }
}
