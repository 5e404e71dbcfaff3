using System.Collections.Concurrent;
using System.Text;
using Actors.Storage;
using Actors.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Actors.Grains.Tests.Storage;

/// <summary>What one silo has of Actors.Storage: its connections, a journal and claims, with a probe that tests hold it by.</summary>
internal sealed class Store : IAsyncDisposable
{
    public const string Type = "T";

    /// <summary>Added to a connection string: lock waits outlast what a test holds up, however slow the machine.</summary>
    public const string LongLockWaits = ";Options=-c lock_timeout=30000";

    private readonly ConcurrentQueue<string> _roundTrips = new();
    private readonly ConcurrentDictionary<string, Func<Task>> _before = new();
    private readonly InstanceNumbers _numbers;
    private readonly Codes _codes;
    private readonly Lazy<Task> _joined;

    public Store(string connectionString, int slots = 2, params string[] types)
    {
        Probe = new StatementProbe { Before = BeforeAsync };
        Database = new EngineDatabase(connectionString, Guid.NewGuid(), 10, TimeSpan.FromMinutes(1), Probe);
        Journal = new JournalWriter(Database, slots, 500, NullLogger<JournalWriter>.Instance);
        _codes = new Codes(Database, [.. (types.Length == 0 ? [Type] : types).Select(type => new DeclaredCode(type, [type], ""))],
            NullLogger<Codes>.Instance);
        Claims = new Claims(Database, _codes, 500, crashLimit: 10);
        _numbers = new InstanceNumbers(Database, TimeProvider.System);
        _joined = new Lazy<Task>(JoinAsync);
    }

    public EngineDatabase Database { get; }

    public StatementProbe Probe { get; }

    public JournalWriter Journal { get; }

    public Claims Claims { get; }

    public Guid Silo => Database.Silo;

    /// <summary>Names of the round trips so far.</summary>
    public IEnumerable<string> RoundTrips => _roundTrips;

    public static Payload Json(string json) => new(Encoding.UTF8.GetBytes(json));

    /// <summary>Runs once, before the next round trip of that name is sent.</summary>
    public void BeforeNext(string name, Func<Task> action) => _before[name] = action;

    /// <summary>The next round trip of that name waits until <see cref="Held.Release"/>.</summary>
    public Held HoldNext(string name)
    {
        var held = new Held();
        BeforeNext(name, () =>
        {
            held.Reached.SetResult();
            return held.Released.Task;
        });
        return held;
    }

    /// <summary>As a silo joins; what needs it does it by itself.</summary>
    public Task RegisterAsync() => _joined.Value;

    public async Task<Start> NewStartAsync(string id, string type = Type)
    {
        await RegisterAsync();
        return new(new WorkflowId(id), type, _codes.Of(type), await _numbers.TakeAsync(), Guid.NewGuid(), Json("1"));
    }

    /// <summary>A run that this silo owns, at epoch 1 and position 0.</summary>
    public async Task<Start> StartAsync(string id, string type = Type)
    {
        var start = await NewStartAsync(id, type);
        var reply = await Journal.StartAsync(start);
        return reply.Outcome == CommitOutcome.Committed ? start : throw new InvalidOperationException($"{id}: {reply}");
    }

    /// <summary>An entry with one row of a step at each of the next <paramref name="rows"/> positions.</summary>
    public static Entry Entry(Start run, int epoch = 1, int position = 0, int rows = 1, string name = "step")
    {
        var entry = new Entry { Instance = run.Instance, Workflow = run.Workflow, Epoch = epoch, Position = position };
        for (var i = 1; i <= rows; i++)
        {
            entry.Rows.Add(new JournalRow(JournalKind.StepCompleted, position + i, name, Json("2")) { Position = position + i });
        }

        return entry;
    }

    public Task<CommitReply> CommitAsync(Entry entry)
    {
        var done = new TaskCompletionSource<CommitReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        Journal.Submit(entry, done.SetResult); // A second answer would throw here.
        return done.Task;
    }

    /// <summary>Commits these together, whatever the speed of the machine: a commit before them is held until all are there. With one slot
    /// they are one group.</summary>
    public async Task<List<Task<CommitReply>>> TogetherAsync(IEnumerable<Entry> entries, Action? also = null)
    {
        var first = await StartAsync($"first {Guid.NewGuid()}");
        var held = HoldNext("commit");
        var blocker = CommitAsync(Entry(first));
        await held.UntilReachedAsync();
        also?.Invoke();
        var replies = entries.Select(CommitAsync).ToList();
        held.Release();
        await blocker;
        return replies;
    }

    public static IEnumerable<string> Texts(NpgsqlBatch batch)
    {
        for (var i = 0; i < batch.BatchCommands.Count; i++)
        {
            yield return batch.BatchCommands[i].CommandText;
        }
    }

    /// <summary>Leaves memory: the owner is cleared.</summary>
    public Task<CommitReply> ReleaseAsync(Start run, int epoch = 1, int position = 0)
    {
        var entry = Entry(run, epoch, position, rows: 0);
        entry.Leaves = true;
        return CommitAsync(entry);
    }

    /// <summary>Everything that the database holds of a run, as text.</summary>
    public static Task<string> AllOfAsync(NpgsqlDataSource source, long instance) => ScalarAsync<string>(source, $"""
        select coalesce(string_agg(line, E'\n' order by line), '') from (
            select 'workflow ' || to_jsonb(w)::text as line from actors.runs w where instance = {instance}
            union all select 'journal ' || to_json(j)::text from actors.journal j where instance = {instance}
            union all select 'timer ' || to_jsonb(t)::text from actors.timers t where instance = {instance}
            union all select 'inbox ' || to_json(i)::text from actors.inbox i where workflow = {instance}
            union all select 'outbox ' || to_json(o)::text from actors.outbox o where instance = {instance}) lines
        """);

    public static async Task<T> ScalarAsync<T>(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Returns when so many backends of this application wait for a lock of another one.</summary>
    public static async Task UntilBlockedAsync(NpgsqlDataSource source, string application, int backends = 1)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        while (await ScalarAsync<long>(source, $"""
            select count(*) from pg_stat_activity
            where datname = current_database() and application_name like '{application}' and cardinality(pg_blocking_pids(pid)) > 0
            """) < backends)
        {
            if (limit.IsCancellationRequested)
            {
                throw new TimeoutException($"No {backends} backend(s) of '{application}' came to wait for a lock.");
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Journal.DisposeAsync();
        await Claims.DisposeAsync();
        _numbers.Dispose();
        await Database.DisposeAsync();
    }

    private async Task JoinAsync()
    {
        await _codes.RegisterAsync();
        await SiloRegistry.RegisterAsync(Database, "test", "127.0.0.1:1@1", TimeSpan.FromHours(1), _codes.All);
    }

    private async Task BeforeAsync(string name)
    {
        _roundTrips.Enqueue(name);
        if (_before.TryRemove(name, out var action))
        {
            await action();
        }
    }

    internal sealed class Held
    {
        public TaskCompletionSource Reached { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Released { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task UntilReachedAsync() => Reached.Task.WaitAsync(TimeSpan.FromSeconds(20));

        public void Release() => Released.SetResult();
    }
}
