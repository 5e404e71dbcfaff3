using Actors.Calling;
using Actors.Housekeeping;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Execution;

public interface IBulk : IWorkflow<int, int>;

/// <summary>One step, and the input doubled.</summary>
public sealed class Bulk : Workflow<int, int>, IBulk
{
    protected override async Task<int> RunAsync(int input) => await Step("double", _ => Task.FromResult(2 * input));
}

/// <summary>Many starts in the caller's transaction: all of them or none, each id once, as many in memory as there is room for.</summary>
[EachPostgres]
public sealed class BulkStartTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>Some of these start before any silo has joined.</summary>
    private Task RegisterAsync() => database.ExecuteAsync("select actors.register_type('Bulk'), actors.register_type('Foreign')");

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_bulk_start_commits_with_the_callers_rows_or_not_at_all(bool commits)
    {
        var name = $"atomic{commits}";
        await RegisterAsync();
        await using var connection = await database.DataSource.OpenConnectionAsync(Cancel);
        await using (var transaction = await connection.BeginTransactionAsync(Cancel))
        {
            await using var table = new NpgsqlCommand($"create table {name} (n int)", connection);
            await table.ExecuteNonQueryAsync(Cancel);
            Assert.Equal(25_001, await StartAsync(transaction, name, 25_001)); // Three round trips.
            await (commits ? transaction.CommitAsync(Cancel) : transaction.RollbackAsync(Cancel));
        }

        Assert.Equal(commits ? 25_001
            : 0, await CountAsync(
            $"actors.runs w join actors.journal j using (instance) where w.namespace = '{name}' and j.payload is not null"));
        Assert.Equal(commits ? 1 : 0, await CountAsync($"pg_class where relname = lower('{name}')"));
    }

    [Fact]
    public async Task A_start_in_no_transaction_or_in_one_that_has_ended_is_refused_with_words()
    {
        await using var connection = await database.DataSource.OpenConnectionAsync(Cancel);
        var committed = await connection.BeginTransactionAsync(Cancel);
        await committed.CommitAsync(Cancel);
        var disposed = await connection.BeginTransactionAsync(Cancel);
        await disposed.DisposeAsync();
        var closing = await database.DataSource.OpenConnectionAsync(Cancel);
        var closed = await closing.BeginTransactionAsync(Cancel);
        await closing.CloseAsync();
        var handle = Client.Get<IBulk>("refused", "ended");
        foreach (var ended in new[] { committed, disposed, closed })
        {
            Assert.Contains("has ended", (await Assert.ThrowsAsync<ArgumentException>(() => handle.StartAsync(1, ended, Cancel))).Message,
                StringComparison.Ordinal);
            Assert.Contains("has ended",
                (await Assert.ThrowsAsync<ArgumentException>(
                () => Client.StartManyAsync<IBulk, int>([new("a", 1)], ended, "ended", Cancel))).Message, StringComparison.Ordinal);
        }

        await Assert.ThrowsAsync<ArgumentNullException>(() => handle.StartAsync(1, (NpgsqlTransaction)null!, Cancel));
        await Assert.ThrowsAsync<ArgumentNullException>(() => Client.StartManyAsync<IBulk, int>([new("a", 1)], null!, "ended", Cancel));
        await using var open = await connection.BeginTransactionAsync(Cancel);
        await Assert.ThrowsAsync<ArgumentNullException>(() => Client.StartManyAsync<IBulk, int>(null!, open, "ended", Cancel));
        Assert.Equal(0, await CountAsync("actors.runs where namespace = 'ended'"));
    }

    [Fact]
    public async Task An_id_that_exists_is_left_as_it_is_and_one_of_another_type_refuses_all()
    {
        await RegisterAsync();
        await using var connection = await database.DataSource.OpenConnectionAsync(Cancel);
        await using (var transaction = await connection.BeginTransactionAsync(Cancel))
        {
            Assert.Equal(10, await StartAsync(transaction, "again", 10));
            Assert.Equal(5, await StartAsync(transaction, "again", 15));
            Assert.Equal(1, await Client.StartManyAsync<IBulk, int>([new("twice", 1), new("twice", 2)], transaction, "again", Cancel));
            await transaction.CommitAsync(Cancel);
        }

        Assert.Equal(16, await CountAsync("actors.runs w join actors.journal j using (instance) where w.namespace = 'again'"));
        Assert.Equal(1, await CountAsync(
            "actors.runs w join actors.journal j using (instance) where w.id = 'twice' and j.payload::text = '1'"));

        await using var refused = await connection.BeginTransactionAsync(Cancel);
        await using var other = new NpgsqlCommand("select actors.start_workflow('again', 'foreign', 'Foreign', '1')", connection);
        await other.ExecuteNonQueryAsync(Cancel);
        await Assert.ThrowsAsync<WorkflowTypeMismatchException>(
            () => Client.StartManyAsync<IBulk, int>([new("fresh", 1), new("foreign", 1)], refused, "again", Cancel));
        await Assert.ThrowsAsync<InvalidWorkflowIdException>(() => Client.StartManyAsync<IBulk, int>(
            Enumerable.Range(0, 10_001).Select(n => KeyValuePair.Create(n == 10_000 ? "" : $"fresh {n}", n)), refused, "again", Cancel));
        await refused.CommitAsync(Cancel); // As if nothing had been asked.
        Assert.Equal(0, await CountAsync("actors.runs where id like 'fresh%'"));
    }

    [Fact]
    public async Task Ids_and_types_that_cannot_be_are_refused_before_anything_is_sent()
    {
        await using var connection = await database.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await Assert.ThrowsAsync<InvalidWorkflowIdException>(
            () => Client.StartManyAsync<IBulk, int>([new("", 1)], transaction, cancellation: Cancel));
        await Assert.ThrowsAsync<ArgumentException>(
            () => Client.StartManyAsync<IBulk, string>([new("x", "y")], transaction, cancellation: Cancel));
        Assert.Equal(0, await Client.StartManyAsync<IBulk, int>([], transaction, cancellation: Cancel));
        const string Two = "array['1', '2']::json[]";
        foreach (var (sql, payloads) in new[]
        {
            ("array['', 'a']", Two), ("array['a', null]", Two), ("array[E'\\u0007', 'a']", Two), ("array['a']", Two),
            ("array['a', 'b', 'c']", Two),
            ("array['a', 'b']", Two + ", array[null]::bytea[]"),
        })
        {
            await using var nested = new NpgsqlCommand("savepoint s", connection);
            await nested.ExecuteNonQueryAsync(Cancel);
            await using var start = new NpgsqlCommand($"select actors.start_workflows('refused', 'Bulk', {sql}, {payloads})", connection);
            Assert.Equal("AC003", (await Assert.ThrowsAsync<PostgresException>(() => start.ExecuteNonQueryAsync(Cancel))).SqlState);
            await transaction.RollbackAsync("s", Cancel);
        }
    }

    [Fact]
    public async Task Every_run_of_a_bulk_start_runs()
    {
        await RegisterAsync();
        await using (var connection = await database.DataSource.OpenConnectionAsync(Cancel))
        await using (var transaction = await connection.BeginTransactionAsync(Cancel))
        {
            await StartAsync(transaction, "runs", 1_000);
            await transaction.CommitAsync(Cancel);
        }

        await using var engine = await TestEngine.StartAsync(database.ConnectionString, builder => builder.AddWorkflow<Bulk>());
        var residents = 0;
        using var stop = new CancellationTokenSource();
        var sweeping = Sweeper(engine, Room).RunAsync(stop.Token);
        while (await CountAsync("actors.runs where namespace = 'runs' and status <> 1") > 0)
        {
            await Task.Delay(50, Cancel);
        }

        await stop.CancelAsync();
        await sweeping;
        Assert.Equal(1_000, await CountAsync(
            "actors.runs w join actors.journal j on j.instance = w.instance and j.kind = 11 where w.namespace = 'runs' and "
                + "j.payload::text = (2 * w.id::int)::text"));
        Assert.InRange(residents, 1, 500);

        int Room()
        {
            residents = Math.Max(residents, engine.Engine.ResidentCount);
            return 500 - engine.Engine.ResidentCount;
        }
    }

    /// <summary>The claim takes the run out of what the sweep finds: its answer may be lost, the run must not.</summary>
    [Theory]
    [InlineData("new run")]
    [InlineData("timer")]
    public async Task A_run_whose_claim_was_not_answered_is_woken_again(string what)
    {
        var lost = 0;
        var probe = new StatementProbe
        {
            After = name => name == "claim" && Interlocked.Increment(ref lost) == 1 ? throw new IOException("The answer was lost.")
                : Task.CompletedTask,
        };
        await RegisterAsync();
        await using (var command = database.DataSource.CreateCommand($"select actors.start_workflow('lost', '{what}', 'Bulk', '21')"))
        {
            await command.ExecuteNonQueryAsync(Cancel);
        }

        if (what == "timer")
        {
            await using var rests = database.DataSource.CreateCommand($"""
                update actors.runs set epoch = 1 where id = '{what}';
                insert into actors.timers (instance, due_at, code, seq) select instance, now(), code, 9 from actors.runs where id = '{what}'
                """);
            await rests.ExecuteNonQueryAsync(Cancel);
        }

        await using var engine = await TestEngine.StartAsync(
            database.ConnectionString, builder => builder.AddWorkflow<Bulk>(), probe: probe);
        using var stop = new CancellationTokenSource();
        var sweeping = Sweeper(engine, () => 100).RunAsync(stop.Token);
        while (await CountAsync($"actors.runs where id = '{what}' and status = 1") == 0)
        {
            await Task.Delay(20, Cancel);
        }

        await stop.CancelAsync();
        await sweeping;
        Assert.True(lost >= 2);
        Assert.Empty(engine.Engine.Unsure);
    }

    private static Sweeper Sweeper(TestEngine engine, Func<int> room)
    {
        var partitions = new PartitionSet();
        var context = engine.Engine.Context;
        Enumerable.Range(0, Partition.RangeCount).ToList().ForEach(range => partitions.Hold(range, engine));
        return new Sweeper(
            context.Database, partitions, context.Codes,
            new SweepSettings(TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1), TimeSpan.FromSeconds(5)),
            engine.Engine.WakeAsync, room, () => engine.Engine.Unsure, context.Clock.Observe, () => { }, NullLogger<Sweeper>.Instance);
    }

    private static WorkflowClient Client => new(null!, new PayloadSerializer(), TimeSpan.FromSeconds(1));

    private static Task<long> StartAsync(NpgsqlTransaction transaction, string space, int count) =>
        Client.StartManyAsync<IBulk,
        int>(Enumerable.Range(0, count).Select(n => KeyValuePair.Create($"{n}", n)), transaction, space, Cancel);

    private async Task<long> CountAsync(string what)
    {
        await using var command = database.DataSource.CreateCommand($"select count(*) from {what}");
        return (long)(await command.ExecuteScalarAsync(Cancel))!;
    }
}
