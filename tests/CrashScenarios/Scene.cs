using System.Globalization;
using Actors.Execution;
using Actors.Outbox;
using Actors.Housekeeping;
using Actors.Storage;
using Actors.Support;
using Actors.Wire;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Actors.CrashScenarios;

/// <summary>
/// One silo without a cluster, which plays a scenario against a database: engine, sweeper and relay. Played again, with whatever an
/// earlier process left, it comes to the same end.
/// </summary>
internal sealed class Scene : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2); // See CrashMatrix.

    private readonly CancellationTokenSource _stop = new();
    private readonly TestEngine _engine;
    private readonly Sweeper _sweeper;
    private readonly NpgsqlDataSource _world;
    private readonly Life _life;
    private readonly List<Task> _running = [];
    private OutboxRelay? _relay;

    private Scene(TestEngine engine, NpgsqlDataSource world, Life life)
    {
        (_engine, _world, _life) = (engine, world, life);
        // Looks by itself at the start and when it is told: then the number of round trips of a scenario does not depend on time.
        _sweeper = new Sweeper(
            engine.Engine.Context.Database, All(), engine.Engine.Context.Codes,
            new SweepSettings(TimeSpan.FromSeconds(2), TimeSpan.FromHours(1), TimeSpan.FromSeconds(5)),
            engine.Engine.WakeAsync, () => int.MaxValue, () => engine.Engine.Unsure, engine.Engine.Context.Clock.Observe, () => { },
            NullLogger<Sweeper>.Instance);
    }

    public TestEngine Engine => _engine;

    public static IEnumerable<string> Names => Scenarios.All.Keys;

    /// <summary>Plays the scenario to its end, or dies in it.</summary>
    public static async Task PlayAsync(string name, string connectionString, string folder, Life life)
    {
        await using var world = TestDatabase.Pool(
            new NpgsqlConnectionStringBuilder(connectionString) { ApplicationName = "world", MaxPoolSize = 4 });
        if (name == "migration")
        {
            await MigrateAsync(world, life.Probe);
        }
        else if (name == "online index")
        {
            await IndexAsync(world, life.Probe);
        }

        await using var proxy = new CutProxy(connectionString);
        if (name == "lost answer")
        {
            connectionString = proxy.ConnectionString;
            var commits = 0;
            var before = life.Probe.Before;
            life.Probe.Before = async statement =>
            {
                await (before?.Invoke(statement) ?? Task.CompletedTask);
                await (statement.StartsWith("commit", StringComparison.Ordinal) && Interlocked.Increment(ref commits) % 3 == 0
                    ? proxy.CutNextAsync(Cut.Answer) : Task.CompletedTask);
            };
        }

        await ExecuteAsync(world,
            "create table if not exists business (note text); create table if not exists effects (key text, attempt int)");
        // As a supervisor would, who saw them end.
        await ExecuteAsync(world, "update actors.silos set dead_at = actors.now() where dead_at is null");
        await Scenarios.All[name](
            () => OpenAsync(connectionString, folder, life, world, relays: name is "outbox delivery" or "failed deliveries" or "redrive"));
    }

    /// <summary>From nothing, or from where an earlier process died in it.</summary>
    private static async Task MigrateAsync(NpgsqlDataSource world, StatementProbe probe)
    {
        await ExecuteAsync(world, """
            do $$ begin
                if to_regclass('migrating') is null then drop schema actors cascade; create table migrating (); end if;
            end $$
            """);
        await Migrator.MigrateAsync(world, probe, CancellationToken.None);
    }

    /// <summary>An index on a table with rows, on top of a schema that is up to date. One that is not valid stands there from before, or an
    /// earlier process has come further.</summary>
    private static async Task IndexAsync(NpgsqlDataSource world, StatementProbe probe)
    {
        await ExecuteAsync(world, """
            do $$ begin
                if to_regclass('actors.things') is null then
                    create table actors.things as select n as kind from generate_series(1, 100) n;
                    create index things_kind on actors.things (kind);
                    update pg_index set indisvalid = false where indexrelid = 'actors.things_kind'::regclass;
                end if;
            end $$
            """);
        var index = new Migration(9000, "things", "-- online\ncreate index concurrently things_kind on actors.things (kind);");
        await Migrator.MigrateAsync(
            world, [.. Migration.Embedded, index], Migrator.BinaryGeneration, CancellationToken.None, probe);
    }

    public static async Task<Scene> OpenAsync(string connectionString, string folder, Life life, NpgsqlDataSource world, bool relays)
    {
        var engine = await TestEngine.StartAsync(connectionString, builder => Configure(builder, folder, world, life), probe: life.Probe);
        var scene = new Scene(engine, world, life);
        scene._running.Add(Task.Run(() => scene._sweeper.RunAsync(scene._stop.Token)));
        if (relays)
        {
            scene.StartRelay(life.Probe);
        }

        return scene;
    }

    public void Sweep() => _sweeper.Wake();

    public World World => _engine.Services.GetRequiredService<World>();

    public Task<StartReply> StartAsync<TInput>(
        string id, string type, TInput input, StartPolicy policy = StartPolicy.Attach, string? requestId = null,
        (string Name, string Word, string Id)? signal = null, TimeSpan? delay = null)
    {
        var payloads = _engine.Engine.Context.Payloads;
        var sent = signal is { } s ? new SignalCall(s.Name, false, payloads.Write(new[] { s.Word }, $"signal"), s.Id) : null;
        var request = new StartCall(type, payloads.Write(input, $"input"), policy, sent, requestId, delay);
        return UntilAnsweredAsync(async () =>
        {
            var reply = await _engine.Engine.StartAsync(new WorkflowId(id), request);
            await (reply.Started || sent is null ? Task.CompletedTask : _engine.Engine.SignalAsync(new WorkflowId(id), sent));
            return reply;
        });
    }

    public Task<bool> SendAsync<T>(string id, string topic, T message, string messageId) => UntilAnsweredAsync(async () =>
    {
        await _engine.SendAsync(id, topic, message, messageId);
        return true;
    });

    public async Task ExpectAsync<TResult>(string id, TResult expected)
    {
        var result = await UntilAnsweredAsync(() => _engine.ResultAsync<TResult>(id, _life.AskAgainAfter));
        if (!Equals(result, expected))
        {
            throw new InvalidOperationException($"Workflow '{id}' returned {result}, not {expected}.");
        }
    }

    /// <summary>Returns when the run's delay is over, and it has begun.</summary>
    public async Task ExpectBeginAsync(string id)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (await CountAsync($"actors.runs where id = '{id}' and status = 9") > 0)
        {
            limit.Token.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Repeats what has no answer, as callers do: while the run is on its way between two owners, or where a cut that was meant
    /// for a commit met a read beside it.</summary>
    public async Task<T> UntilAnsweredAsync<T>(Func<Task<T>> ask)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (true)
        {
            try
            {
                return await ask();
            }
            catch (Exception error)
                when ((error is TimeoutException || PostgresFaults.IsUnreachable(error)) && !limit.IsCancellationRequested)
            {
                Sweep();
            }
        }
    }

    /// <summary>The run leaves memory as one that only waits.</summary>
    public async Task RestAsync(string id)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (_engine.Engine.Resident(new WorkflowId(id)) is { } resident)
        {
            resident.RestIfIdle(TimeSpan.Zero);
            await Task.WhenAny(resident.Left, Task.Delay(5, limit.Token));
            limit.Token.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Deletes what ended more than a day ago, two runs a batch.</summary>
    public Task RetainAsync() =>
        new Retention(_engine.Engine.Context.Database, All(), TimeSpan.FromDays(1), TimeSpan.FromDays(1),
        NullLogger<Retention>.Instance) { BatchRuns = 2 }
        .PassAsync(CancellationToken.None);

    public async Task ExpectRowsAsync(string rows, long count)
    {
        if (await CountAsync(rows) is var found && found != count)
        {
            throw new InvalidOperationException($"{found} {rows}, not {count}.");
        }
    }

    /// <summary>SQL of somebody else, in a commit of its own.</summary>
    public Task ExecuteAsync(string sql) => _life.OutsideAsync(async () =>
    {
        await ExecuteAsync(_world, sql);
        return true;
    });

    public Task RedriveAsync() => _relay!.RedriveAsync("file");

    public async Task UntilOutboxIsEmptyAsync()
    {
        using var limit = new CancellationTokenSource(Patience);
        while (await CountAsync("actors.outbox") > 0)
        {
            limit.Token.ThrowIfCancellationRequested();
        }
    }

    private Task<long> CountAsync(string rows) => _life.OutsideAsync(async () =>
    {
        await using var command = _world.CreateCommand($"select count(*) from {rows}");
        return (long)(await command.ExecuteScalarAsync())!;
    });

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_running);
        await _engine.DisposeAsync();
        _stop.Dispose();
    }

    private static PartitionSet All()
    {
        var partitions = new PartitionSet();
        for (var range = 0; range < Partition.RangeCount; range++)
        {
            partitions.Hold(range, partitions);
        }

        return partitions;
    }

    private static void Configure(ActorsBuilder builder, string folder, NpgsqlDataSource source, Life life)
    {
        var world = new World(source, life);
        builder.Services.AddSingleton(world);
        builder.AddWorkflow<Steps>().AddWorkflow<Retries>().AddWorkflow<Buys>().AddWorkflow<Publishes>().AddWorkflow<Sleeps>()
            .AddWorkflow<Waits>().AddWorkflow<Fails>().AddWorkflow<Broken>().AddWorkflow<Refused>().AddWorkflow<Lingers>().AddWorkflow<Receives>();
        var file = new Lock();
        builder.Outbox.Add(
            "file",
            new HandlerSink((message, _) => life.OutsideAsync(() =>
            {
                if (message.Topic == "refused" && !world.IsMended)
                {
                    throw new TimeoutException("Nobody takes it yet.");
                }

                lock (file)
                {
                    // Kept by the system whatever becomes of this process.
                    File.AppendAllText(Path.Combine(folder, "delivered"),
                        string.Create(CultureInfo.InvariantCulture, $"{message.Id} {message.Key}\n"));
                }

                return Task.FromResult(true);
            })),
            "*");
    }

    private void StartRelay(StatementProbe probe)
    {
        var (context, partitions) = (_engine.Engine.Context, All().Partitions);
        var options = new OutboxOptions { PollInterval = TimeSpan.FromMilliseconds(200), AttemptsMax = 2,
            BackOffFirst = TimeSpan.FromMilliseconds(1) };
        var relay = _relay = new OutboxRelay(
            new OutboxTable(context.Database.Engine, probe), _engine.Builder.Outbox.Made(), context.Payloads, options, () => partitions,
            TimeProvider.System, NullLogger<OutboxRelay>.Instance);
        context.Journal.OutboxWritten = relay.Wake;
        _running.Add(Task.Run(() => relay.RunAsync(_stop.Token)));
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
