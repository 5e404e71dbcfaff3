using System.Security.Cryptography;
using Actors.Calling;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Actors.Outbox;

/// <summary>Workflows that publish without an engine, and relays that run until they are stopped.</summary>
public sealed class OutboxScene : IAsyncLifetime
{
    private static readonly short[] AllPartitions = Partition.All;
    private readonly TestDatabase _database = new();
    private int _ordinal;
    private long _instance;

    public NpgsqlDataSource DataSource => _database.DataSource;

    public string ConnectionString => _database.ConnectionString;

    public string Database => _database.Name;

    public ValueTask InitializeAsync() => _database.InitializeAsync();

    public ValueTask DisposeAsync() => _database.DisposeAsync();

    /// <summary>Back-offs that tests do not notice, and polls that only safety nets need.</summary>
    internal static OutboxOptions Quick() => new()
    {
        BackOffFirst = TimeSpan.FromMilliseconds(5), BackOffMax = TimeSpan.FromMilliseconds(20),
        PollInterval = TimeSpan.FromMilliseconds(50),
    };

    internal static OutboxRoutes Route(IOutboxSink sink, string destination = "hook") => new OutboxRoutes().Add(destination, sink, "*");

    internal OutboxRelay Relay(
        OutboxRoutes routes, OutboxOptions? options = null, Func<short[]>? partitions = null, NpgsqlDataSource? source = null) => new(
        new OutboxTable(source ?? DataSource), routes.Made(), new PayloadSerializer(), options ?? Quick(), partitions ?? (() => AllPartitions), TimeProvider.System,
        NullLogger<OutboxRelay>.Instance);

    internal RunningRelay Run(
        OutboxRoutes routes, OutboxOptions? options = null, Func<short[]>? partitions = null, NpgsqlDataSource? source = null) =>
        new(Relay(routes, options, partitions, source));

    /// <summary>A database without messages, for each test of a class.</summary>
    public Task ClearAsync() => ExecuteAsync("truncate actors.outbox, actors.dead_letters, actors.runs");

    public async Task<long> WorkflowAsync()
    {
        var instance = Interlocked.Increment(ref _instance);
        await ExecuteAsync($"""
            insert into actors.runs (instance, workflow, created_at, run, epoch, position, status, namespace, id, code)
            values ({instance}, {instance}, actors.now(), gen_random_uuid(), 1, 1, 0, 'default', 'w-{instance}', (select code from actors.register_type('Checkout')))
            """);
        return instance;
    }

    public Task PublishAsync(long instance, string key, int value, string destination = "hook", int count = 1) =>
        ExecuteAsync(Insert(instance, key, value, destination, count));

    /// <summary>As the engine writes: behind the row lock of the run.</summary>
    public static async Task PublishAsync(NpgsqlTransaction transaction, long instance, string key, int value, string destination = "hook")
    {
        await using var fence = new NpgsqlCommand(
            $"select from actors.runs where instance = {instance} for update", transaction.Connection, transaction);
        await fence.ExecuteNonQueryAsync();
        await using var insert = new NpgsqlCommand(
            InsertOf(instance, key, value, destination, 1, RandomNumberGenerator.GetInt32(1 << 30)), transaction.Connection, transaction);
        await insert.ExecuteNonQueryAsync();
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    public async Task<T> ReadAsync<T>(string sql)
    {
        await using var command = DataSource.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>Moves the database's clock; restored by zero.</summary>
    public Task MoveTimeAsync(TimeSpan by) => ExecuteAsync(
        $"create or replace function actors.now() returns timestamptz language sql stable parallel safe return statement_timestamp() + "
            + $"interval '{by.TotalSeconds} seconds'");

    private string Insert(long instance, string key, int value, string destination, int count) =>
        InsertOf(instance, key, value, destination, count, Interlocked.Add(ref _ordinal, count));

    private static string InsertOf(long instance, string key, int value, string destination, int count, int ordinal) => $"""
        insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key, payload)
        select {instance}, actors.lane_of({instance}, '{destination}', '{key}'), actors.now(), {ordinal} + n, '{destination}', 'orders', '{key}', to_json({value} + n)
        from generate_series(0, {count - 1}) n
        """;
}

/// <summary>Disposing stops it and waits for its end.</summary>
internal sealed class RunningRelay : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _run;

    public RunningRelay(OutboxRelay relay) => (Relay, _run) = (relay, Task.Run(() => relay.RunAsync(_stop.Token)));

    public OutboxRelay Relay { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _run.WaitAsync(TimeSpan.FromSeconds(30));
        _stop.Dispose();
    }
}
