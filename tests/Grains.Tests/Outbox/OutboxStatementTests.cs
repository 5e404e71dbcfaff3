using System.Collections.Concurrent;
using System.Diagnostics;
using Actors.Storage;
using Npgsql;
using Xunit;

namespace Actors.Outbox;

/// <summary>What the relay costs the database: plans by EXPLAIN, and statements while there is nothing to do.</summary>
public sealed class OutboxStatementTests(OutboxScene scene, ITestOutputHelper output) : IClassFixture<OutboxScene>, IAsyncLifetime
{
    private static readonly short[] Partitions = Partition.All;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await scene.ClearAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task No_read_of_the_relay_grows_with_the_table()
    {
        await scene.ExecuteAsync("""
            insert into actors.runs (instance, workflow, created_at, run, epoch, position, status, namespace, id, code)
            select 1000000 + n, 1000000 + n, actors.now(), gen_random_uuid(), 1, 1, 0, 'default', 'plan-' || n, (select code from actors.register_type('Checkout')) from generate_series(1, 20000) n
            """);
        await scene.ExecuteAsync("""
            insert into actors.outbox (instance, lane, at, next_at, attempts, ordinal, destination, topic, key, payload)
            select m.instance, actors.lane_of(m.instance, m.destination, m.key), actors.now(), case when n % 10 = 0 then actors.now() end, n % 2, n,
                m.destination, 'orders', m.key, to_json(n)
            from generate_series(1, 60000) n cross join lateral (select 1000000 + n % 20000 + 1 as instance,
                case when n % 3 = 0 then 'hook' else 'other' end as destination, case when n % 2 = 0 then 'k' || n % 10000 else '' end as key) m
            """);
        // One lane with a backlog, which every probe of it must not read.
        await scene.ExecuteAsync("""
            insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key, payload)
            select 1000001, actors.lane_of(1000001, 'hook', 'long'), actors.now(), n, 'hook', 'orders', 'long', to_json(n) from generate_series(60001, 90000) n
            """);
        await scene.ExecuteAsync("analyze actors.outbox, actors.runs");
        var some = await scene.ReadAsync<long[]>(
            "select array_agg(lane) from (select distinct lane from actors.outbox where destination = 'hook' limit 500) l");
        var page = await PlanAsync("read_outbox_page", "hook", Partitions, 5_000L, 5_000, 500, 20, some, 5_001L);
        Assert.Contains("outbox_fresh", page);
        var retries = await PlanAsync("read_outbox_retries", "hook", Partitions, 250, 20, some, 1L);
        Assert.Contains("outbox_retries", retries);
        var pending = await PlanAsync("read_outbox_pending", new[] { "hook", "other" }, new[] { 1L, 5_000L });
        foreach (var plan in new[]
        {
            page, retries, pending, await PlanAsync("read_outbox_lanes", "hook", some, 20, some.Select(_ => 1L).ToArray()),
            await PlanAsync("delete_outbox", "hook", some, some, some.Select(_ => 1L).ToArray()),
            await PlanAsync("postpone_outbox", some, some, new short[some.Length], new TimeSpan[some.Length]),
            await PlanAsync("bury_outbox", some, some, new short[some.Length], some.Select(_ => "reason").ToArray()),
        })
        {
            Assert.DoesNotContain("Seq Scan", plan);
            Assert.DoesNotContain("Bitmap", plan);
        }
    }

    [Fact]
    public async Task An_idle_relay_sends_one_statement_a_poll_interval_for_all_destinations()
    {
        var statements = new BlockingCollection<string>();
        using var listener = Listen(sql => statements.Add(sql, CancellationToken.None));
        var sink = new RecordingSink();
        await using var running = scene.Run(new OutboxRoutes().Add("a", sink, "*").Add("b", sink, "*").Add("c", sink, "*"));
        var poll = SqlText.Get("read_outbox_pending");
        var others = 0;
        for (var polls = 0; polls < 20;)
        {
            Assert.True(statements.TryTake(out var sql, 30_000, Cancel), "no statement came");
            (polls, others) = sql == poll ? (polls + 1, others) : (0, others + 1);
            Assert.InRange(others, 0, 6); // A pass and a look for retries of each destination at the start, then the poll alone.
        }

        Assert.NotEqual(0, others);
    }

    [Fact]
    public async Task Without_destinations_or_partitions_nothing_is_asked()
    {
        await using var unreachable = NpgsqlDataSource.Create("Host=127.0.0.1;Port=1");
        await scene.Relay(new OutboxRoutes(), source: unreachable).RunAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(10), Cancel);
        var asked = new TaskCompletionSource();
        var count = 0;
        await using var running = scene.Run(OutboxScene.Route(new RecordingSink()), source: unreachable, partitions: () =>
        {
            if (Interlocked.Increment(ref count) == 20)
            {
                asked.TrySetResult();
            }

            return [];
        });
        running.Relay.Wake();
        await asked.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
    }

    [Fact]
    public async Task Many_messages_for_a_quick_handler_take_few_statements()
    {
        const int Count = 40_000;
        await scene.ExecuteAsync($"""
            insert into actors.runs (instance, workflow, created_at, run, epoch, position, status, namespace, id, code)
            select 2000000 + n, 2000000 + n, actors.now(), gen_random_uuid(), 1, 1, 0, 'default', 'fast-' || n, (select code from actors.register_type('Checkout')) from generate_series(1, {Count / 4}) n
            """);
        await scene.ExecuteAsync($$"""
            insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key, payload)
            select 2000001 + n % {{Count / 4}}, actors.lane_of(0, 'hook', 'k' || n % {{Count / 4}}), actors.now(), n, 'hook', 'orders', 'k' || n % {{Count / 4}}, '{"order": "o-1", "amount": 1999}' from generate_series(1, {{Count}}) n
            """);
        var (left, done) = (Count, new TaskCompletionSource());
        var sink = new HandlerSink((_, _) =>
        {
            if (Interlocked.Decrement(ref left) == 0)
            {
                done.TrySetResult();
            }

            return Task.CompletedTask;
        });
        var statements = 0;
        using var listener = Listen(_ => Interlocked.Increment(ref statements));
        await using var running = scene.Run(OutboxScene.Route(sink), new OutboxOptions());
        await done.Task.WaitAsync(TimeSpan.FromMinutes(2), Cancel);
        output.WriteLine($"{statements} statements for {Count} messages");
        Assert.InRange(statements, 1, Count / 100); // Pages of 500; what was delivered meanwhile is deleted at once.
    }

    private ActivityListener Listen(Action<string> onStatement)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Npgsql",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                if (Equals(activity.GetTagItem("db.namespace"), scene.Database) && activity.GetTagItem("db.query.text") is string sql)
                {
                    onStatement(sql);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    private async Task<string> PlanAsync(string statement, params object[] values)
    {
        await using var database = new EngineDatabase(
            scene.ConnectionString, Guid.NewGuid(), 1, TimeSpan.FromMinutes(1), new StatementProbe());
        await using var command = database.Engine.CreateCommand("explain (analyze) " + SqlText.Get(statement));   // as the relay is run
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        var lines = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(Cancel);
        while (await reader.ReadAsync(Cancel))
        {
            lines.Add(reader.GetString(0));
        }

        output.WriteLine($"{statement}\n{string.Join('\n', lines)}\n");
        return string.Join('\n', lines);
    }
}
