using System.Data;
using Actors.Storage;
using Actors.Support;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>Who may claim, and that a claim sees everything that was committed before it.</summary>
[EachPostgres]
public sealed class ClaimTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("group")]
    [InlineData("transaction")]
    public async Task A_claim_waits_for_a_commit_under_way_and_sees_it(string how)
    {
        await using var owner = new Store(database.ConnectionString + Store.LongLockWaits);
        await using var other = new Store(database.ConnectionString + Store.LongLockWaits);
        await other.RegisterAsync();
        var run = await owner.StartAsync($"under way {how}");
        var entry = Store.Entry(run, rows: 3);

        // The row lock of the fence is held, and COMMIT has not ended.
        await using var gate = await database.DataSource.OpenConnectionAsync(Cancel);
        await using var raw = how == "group" ? await gate.BeginTransactionAsync(Cancel) : null;
        await using var transaction = how == "group" ? null
            : await TransactionCommit.BeginAsync(owner.Database, owner.Journal, IsolationLevel.ReadCommitted, Cancel);
        Task? commit = null;
        if (transaction is null)
        {
            await using var batch = gate.CreateBatch();
            new CommitBatch([], [entry], owner.Silo).Write(batch);
            await batch.ExecuteNonQueryAsync(Cancel);
        }
        else
        {
            await ExecuteAsync(gate, """
                create function wait_behind_fence() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(4711); return null; end $$;
                create trigger waits after insert on actors.journal for each statement execute function wait_behind_fence();
                select pg_advisory_lock(4711);
                """);
            await ExecuteAsync(transaction.Connection, "select 1");
            commit = transaction.CommitAsync(entry);
            await Store.UntilBlockedAsync(database.DataSource, $"actors user {owner.Silo}");
        }

        var claim = other.Claims.ClaimAsync(run.Id, force: true);
        await Store.UntilBlockedAsync(database.DataSource, $"actors engine {other.Silo}");
        Assert.False(claim.IsCompleted);
        await (raw?.CommitAsync(Cancel) ?? ExecuteAsync(gate, "select pg_advisory_unlock(4711)"));
        await (commit ?? Task.CompletedTask);

        var loaded = (await claim)!;
        Assert.Equal((2, 3, other.Silo), (loaded.Row.Epoch, loaded.Row.Position, loaded.Row.Owner));
        Assert.Equal([0, 1, 2, 3], loaded.History.Select(row => row.Position));
        Assert.Equal(CommitOutcome.Fenced, (await owner.CommitAsync(Store.Entry(run, position: 3))).Outcome);
        Assert.Equal(CommitOutcome.Committed, (await other.CommitAsync(Store.Entry(run, epoch: 2, position: 3))).Outcome);
        await ExecuteAsync(gate, "drop trigger if exists waits on actors.journal");
    }

    [Fact]
    public async Task A_commit_that_waits_for_a_claim_is_fenced()
    {
        await using var owner = new Store(database.ConnectionString + Store.LongLockWaits);
        await using var other = new Store(database.ConnectionString + Store.LongLockWaits);
        var run = await owner.StartAsync("claim first");
        await using var connection = await database.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await using (var claim = new NpgsqlCommand(SqlText.Get("claim_runs"), connection)
        {
            Parameters =
            {
                new() { Value = new[] { "default" } }, new() { Value = new[] { "claim first" } }, new() { Value = new[] { true } },
                new() { Value = other.Silo }, new() { Value = new[] { run.Code } }, new() { Value = 2 },
                new() { Value = Array.Empty<int>() }, new() { Value = Array.Empty<int>() }, new() { Value = 18 }, new() { Value = 1 },
            },
        })
        {
            Assert.Equal(1, await claim.ExecuteNonQueryAsync(Cancel));
        }

        var commit = owner.CommitAsync(Store.Entry(run));
        await Store.UntilBlockedAsync(database.DataSource, $"actors engine {owner.Silo}");
        await transaction.CommitAsync(Cancel);

        Assert.Equal(CommitOutcome.Fenced, (await commit).Outcome);
        Assert.Single((await other.Claims.ReadAsync(run.Id))!.History);
    }

    [Fact]
    public async Task A_run_that_somebody_s_transaction_holds_holds_up_no_claim_of_others()
    {
        await using var owner = new Store(database.ConnectionString);
        var runs = new List<Start>();
        for (var i = 0; i < 20; i++)
        {
            runs.Add(await owner.StartAsync($"held {i}"));
        }

        await using var other = new Store(database.ConnectionString);
        await other.RegisterAsync();
        await SiloRegistry.DeclareDeadAsync(database.DataSource, owner.Silo, Cancel);
        await using var connection = await database.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await ExecuteAsync(connection, $"select from actors.runs where instance = {runs[7].Instance} for share");
        var claims = runs.Select(run => other.Claims.ClaimAsync(run.Id)).ToList();
        for (var i = 0; i < claims.Count; i++)
        {
            if (i == 7)
            {
                Assert.Equal(PostgresErrorCodes.LockNotAvailable, (await Assert.ThrowsAsync<PostgresException>(() => claims[7])).SqlState);
            }
            else
            {
                Assert.Equal(other.Silo, (await claims[i])!.Row.Owner);
            }
        }
    }

    /// <summary>A read is several statements, each with its own snapshot.</summary>
    [Fact]
    public async Task A_run_that_comes_while_it_is_read_is_not_there_yet()
    {
        await using var reader = new Store(database.ConnectionString + Store.LongLockWaits);
        await using var connection = await database.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await ExecuteAsync(connection, "lock table actors.journal in access exclusive mode");
        var reading = reader.Claims.ReadAsync(new WorkflowId("comes meanwhile"));
        await Store.UntilBlockedAsync(database.DataSource, $"actors engine {reader.Silo}");
        await ExecuteAsync(connection, "select actors.start_workflow('default', 'comes meanwhile', 'T', '1')");
        await transaction.CommitAsync(Cancel);
        Assert.Null(await reading);
        Assert.Single((await reader.Claims.ReadAsync(new WorkflowId("comes meanwhile")))!.History);
    }

    [Fact]
    public async Task A_claim_takes_what_is_released_or_of_the_dead_or_of_nobody_known_and_from_the_living_by_force_alone()
    {
        await using var owner = new Store(database.ConnectionString + Store.LongLockWaits);
        await using var other = new Store(database.ConnectionString + Store.LongLockWaits);
        await other.RegisterAsync();
        var unknown = await owner.StartAsync("of nobody known");
        await Store.ExecuteAsync(database.DataSource, $"delete from actors.silos where id = '{owner.Silo}'");
        await AssertClaimedAsync(other, unknown, epoch: 2);
        await SiloRegistry.RegisterAsync(owner.Database, "test", "127.0.0.1:1@1", TimeSpan.FromHours(1), []);

        var released = await owner.StartAsync("released");
        await owner.ReleaseAsync(released);
        await AssertClaimedAsync(other, released, epoch: 2);
        await AssertClaimedAsync(other, released, epoch: 3); // Its own.

        var living = await owner.StartAsync("living");
        var seen = (await other.Claims.ClaimAsync(living.Id))!;
        Assert.Equal((owner.Silo, 1, "127.0.0.1:1@1"), (seen.Row.Owner, seen.Row.Epoch, seen.Row.OwnerAddress));
        Assert.Empty(seen.History);
        await AssertClaimedAsync(other, living, epoch: 2, force: true);

        var dead = await owner.StartAsync("dead");
        await SiloRegistry.DeclareDeadAsync(database.DataSource, owner.Silo, Cancel);
        Assert.Equal(1, (await AssertClaimedAsync(other, dead, epoch: 2)).CrashCount);
        Assert.Null(await other.Claims.ClaimAsync(new WorkflowId("no such")));
    }

    [Fact]
    public async Task A_type_that_the_silo_lacks_and_a_run_that_has_ended_are_never_claimed()
    {
        await using var owner = new Store(database.ConnectionString + Store.LongLockWaits, types: ["T", "U"]);
        await using var other = new Store(database.ConnectionString + Store.LongLockWaits, types: ["U"]);
        var run = await owner.StartAsync("type that is lacked");
        await owner.ReleaseAsync(run);
        Assert.Null((await other.Claims.ClaimAsync(run.Id, force: true))!.Row.Owner);

        var ended = await owner.StartAsync("ended", "U");
        var last = Store.Entry(ended);
        (last.Status, last.Leaves) = (WorkflowStatus.Failed, true);
        await owner.CommitAsync(last);
        var seen = (await other.Claims.ClaimAsync(ended.Id, force: true))!.Row;
        Assert.Equal((WorkflowStatus.Failed, 1, null), (seen.Status, seen.Epoch, seen.Owner));
    }

    [Fact]
    public async Task Of_silos_that_claim_a_free_run_at_the_same_time_one_gets_it_and_the_others_learn_who()
    {
        await using var owner = new Store(database.ConnectionString + Store.LongLockWaits);
        await using var a = new Store(database.ConnectionString + Store.LongLockWaits);
        await using var b = new Store(database.ConnectionString + Store.LongLockWaits);
        await Task.WhenAll(owner.RegisterAsync(), a.RegisterAsync(), b.RegisterAsync());
        var run = await owner.StartAsync("free for all");
        await owner.ReleaseAsync(run);
        await using var blocker = await LockAsync(run);

        // Both have read the row as it is free, and wait for its lock.
        var claims = new[] { a.Claims.ClaimAsync(run.Id), b.Claims.ClaimAsync(run.Id) };
        await Store.UntilBlockedAsync(database.DataSource, "actors engine %", backends: 2);
        await blocker.DisposeAsync();

        var loaded = await Task.WhenAll(claims);
        Assert.Equal(loaded[0]!.Row.Owner, loaded[1]!.Row.Owner);
        Assert.All(loaded, l => Assert.Equal(2, l!.Row.Epoch));
        Assert.Single(loaded, l => l!.History.Count > 0);
    }

    [Fact]
    public async Task Claims_and_commits_of_two_silos_in_any_order_leave_a_gapless_history_with_one_writer_an_epoch()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("ACTORS_TEST_SEED"), out var given) ? given : Random.Shared.Next();
        TestContext.Current.SendDiagnosticMessage($"ACTORS_TEST_SEED={seed}");
        await using var a = new Store(database.ConnectionString + Store.LongLockWaits);
        await using var b = new Store(database.ConnectionString + Store.LongLockWaits);
        await Task.WhenAll(a.RegisterAsync(), b.RegisterAsync());
        var runs = await Task.WhenAll(Enumerable.Range(0, 12).Select(i => a.StartAsync($"interleaved {seed} {i}")));
        var committed = await Task.WhenAll(runs.SelectMany((run, i) => new[]
        {
            PlayAsync(a, run, new Random(seed + i)), PlayAsync(b, run, new Random(~seed + i)),
        }));

        foreach (var (run, i) in runs.Select((run, i) => (run, i)))
        {
            var loaded = (await a.Claims.ReadAsync(run.Id))!;
            Assert.Equal(Enumerable.Range(0, loaded.Row.Position + 1), loaded.History.Select(row => row.Position));
            var written = loaded.History.Skip(1).Select(row => row.Name).ToList();
            Assert.Equal(written.Order(), committed[2 * i].Concat(committed[(2 * i) + 1]).Order());
            // A name is "epoch silo": epochs never go back, and each has one writer.
            var epochs = written.Select(name => int.Parse(name.Split(' ')[0])).ToList();
            Assert.Equal(epochs.Order(), epochs);
            Assert.All(written.Distinct().GroupBy(name => name.Split(' ')[0]), epoch => Assert.Single(epoch));
        }
    }

    /// <summary>Claims by force and commits until fenced, again and again; returns what the journal said was committed.</summary>
    private static async Task<List<string>> PlayAsync(Store store, Start run, Random random)
    {
        var committed = new List<string>();
        for (var round = 0; round < 6; round++)
        {
            var row = (await store.Claims.ClaimAsync(run.Id, force: true))!.Row;
            var (epoch, position) = (row.Epoch, row.Position);
            for (var commits = random.Next(6); commits > 0 && row.Owner == store.Silo; commits--)
            {
                var name = $"{epoch} {store.Silo}";
                var rows = random.Next(1, 3);
                var reply = await store.CommitAsync(Store.Entry(run, epoch, position, rows, name));
                if (reply.Outcome != CommitOutcome.Committed)
                {
                    Assert.Equal(CommitOutcome.Fenced, reply.Outcome);
                    break;
                }

                committed.AddRange(Enumerable.Repeat(name, rows));
                position += rows;
            }
        }

        return committed;
    }

    private static async Task<StoredRun> AssertClaimedAsync(Store store, Start run, int epoch, bool force = false)
    {
        var loaded = (await store.Claims.ClaimAsync(run.Id, force))!;
        Assert.Equal((store.Silo, epoch), (loaded.Row.Owner, loaded.Row.Epoch));
        Assert.NotEmpty(loaded.History);
        return loaded.Row;
    }

    private async Task<NpgsqlConnection> LockAsync(Start run)
    {
        var connection = new NpgsqlConnection(database.ConnectionString + ";Pooling=false");
        await connection.OpenAsync(Cancel);
        await using var command = new NpgsqlCommand(
            $"begin; select 1 from actors.runs where instance = {run.Instance} for update", connection);
        await command.ExecuteNonQueryAsync(Cancel);
        return connection;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Cancel);
    }
}
