using Actors.Grains.Tests.Execution;
using Actors.Grains.Tests.Storage;
using Actors.Storage;
using Actors.Support;
using Actors.Wire;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Partitions;

/// <summary>A sweep costs what can be done, whatever waits for people or for another silo.</summary>
[EachPostgres]
public sealed class SweepCostTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Runs_that_were_set_aside_and_runs_of_types_that_the_silo_lacks_cost_a_sweep_nothing()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using var engine = await database.ScriptAsync(_ => Task.FromResult(""));
        var many = TestTier.IsAll ? 100_000 : 10_000;
        await database.ExecuteAsync("select actors.register_type('Foreign')");
        await database.ExecuteAsync($"""
            insert into actors.runs (instance, workflow, created_at, run, owner, epoch, position, status, flags, namespace, id, code)
            select n, n, now(), gen_random_uuid(), null, case when n > {many} and n % 4 = 1 then 0 else 1 end, 1, case when n <= {many} then 3 else 0 end, (n <= {many})::integer, 'default', 'r' || n,
                (select c.code from actors.codes c where c.type = case when n <= {many} then 'Scripted' else 'Foreign' end)
            from generate_series(1, 2 * {many}) n;
            insert into actors.timers (instance, due_at, code, seq, parked) select instance, now() - interval '1 day', code, 1, status = 3 from actors.runs;
            insert into actors.inbox (workflow, at, code, state, message_id, name) select instance, now(), code, case when status = 3 then 2 else 0 end, 'm', 'Poke' from actors.runs;
            insert into actors.silos (id, started_at, alive_until, dead_at, name, address) select gen_random_uuid(), now(), now(), now(), 'dead', n::text from generate_series(1, 2) n;
            update actors.runs set epoch = 1, owner = (select id from actors.silos where address = '1') where instance between {many} and {many} * 1.2 and status = 0;
            update actors.runs set epoch = 1, owner = 'ffffffff-ffff-ffff-ffff-ffffffffffff' where instance between {many} * 1.3 and {many} * 1.4;
            """);
        foreach (var known in new[] { false, true })
        {
            if (known)
            {
                await database.ExecuteAsync("analyze actors.runs, actors.timers, actors.inbox");
            }

            foreach (var far in new[] { false, true })
            {
                Assert.InRange(await RowsReadAsync(engine, far), 0, 100);
            }
        }
    }

    [Fact]
    public async Task What_hangs_on_a_run_that_is_set_aside_is_parked_and_comes_back_when_it_is_resumed()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using (var wrong = await database.ScriptAsync(async w =>
        {
            var sleep = w.Sleep(TimeSpan.FromMilliseconds(1500));
            await w.WaitUntil(() => w.Heard.Count > 0);
            _ = w.Step("forgotten", () => 0);
            return "";
        }))
        {
            await wrong.StartAsync("parked");
            await wrong.PokeAsync("parked", "first");
            await Assert.ThrowsAsync<WorkflowSetAsideException>(() => wrong.ResultAsync<string>("parked"));
        }

        Assert.Equal("1 0", await StandingAsync());
        await database.ExecuteAsync("select actors.send('default', 'parked', 'second', 'Poke', '[\"second\"]')");
        Assert.Equal("1 1", await StandingAsync());
        await database.ExecuteAsync("update actors.inbox set state = 0"); // As of a sender who did not see it coming.
        await using var right = await database.ScriptAsync(async w =>
        {
            var sleep = w.Sleep(TimeSpan.FromMilliseconds(1500));
            await w.WaitUntil(() => w.Heard.Count > 1);
            await sleep;
            return string.Join(" ", w.Heard);
        });
        await RowsReadAsync(right, far: false);
        Assert.Equal("1 1", await StandingAsync());
        Assert.True(await right.Engine.ResumeAsync(new WorkflowId("parked"), new ResumeCall("again")));
        Assert.Equal("first second", await right.ResultAsync<string>("parked"));

        Task<string> StandingAsync() => database.ScalarAsync<string>(
            "select (select count(*) from actors.timers where parked) || ' ' || (select count(*) from actors.inbox where state = 2)");
    }

    [Fact]
    public async Task A_letter_that_was_on_its_way_when_its_run_was_resumed_is_delivered()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using (var wrong = await database.ScriptAsync(
            w => { _ = w.Step("forgotten", step => Task.Delay(Timeout.Infinite, step.Cancellation)); return Task.FromResult(""); }))
        {
            await wrong.StartAsync("resumed");
            await Assert.ThrowsAsync<WorkflowSetAsideException>(() => wrong.ResultAsync<string>("resumed"));
        }

        await using var right = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0);
            return w.Heard[0];
        });
        await using var sender = await database.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await sender.BeginTransactionAsync(Cancel);
        await using (var send = new NpgsqlCommand("select actors.send('default', 'resumed', 'm', 'Poke', '[\"on its way\"]')", sender))
        {
            await send.ExecuteNonQueryAsync(Cancel);
        }

        var resuming = right.Engine.ResumeAsync(new WorkflowId("resumed"), new ResumeCall("again"));
        await Store.UntilBlockedAsync(database.DataSource, $"actors engine {right.Silo}");
        await transaction.CommitAsync(Cancel);
        Assert.True(await resuming);
        Assert.Equal(0, await database.ScalarAsync<int>("select count(*) from actors.inbox where state = 2"));
        Assert.Equal("on its way", await right.ResultAsync<string>("resumed"));
    }

    /// <summary>A sweep that saw the run parked writes its letters while somebody brings it back.</summary>
    [Fact]
    public async Task Letters_that_a_sweep_parks_while_their_run_is_resumed_are_delivered()
    {
        await using var database = await TestDatabase.CreateAsync();
        await using (var wrong = await database.ScriptAsync(
            w => { _ = w.Step("forgotten", step => Task.Delay(Timeout.Infinite, step.Cancellation)); return Task.FromResult(""); }))
        {
            await wrong.StartAsync("raced");
            await Assert.ThrowsAsync<WorkflowSetAsideException>(() => wrong.ResultAsync<string>("raced"));
        }

        await database.ExecuteAsync("select actors.send('default', 'raced', 'm', 'Poke', '[\"late\"]')");
        await database.ExecuteAsync("update actors.inbox set state = 0"); // As of a sender who did not see it coming.
        await using var right = await database.ScriptAsync(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0);
            return w.Heard[0];
        });
        await using var holder = await database.DataSource.OpenConnectionAsync(Cancel);
        await using var transaction = await holder.BeginTransactionAsync(Cancel);
        await using (var hold = new NpgsqlCommand("select from actors.inbox for update", holder))
        {
            await hold.ExecuteNonQueryAsync(Cancel);
        }

        var sweeping = RowsReadAsync(right, far: false);
        await Store.UntilBlockedAsync(database.DataSource, $"actors engine {right.Silo}");
        var resuming = right.Engine.ResumeAsync(new WorkflowId("raced"), new ResumeCall("again"));
        await Store.UntilBlockedAsync(database.DataSource, $"actors engine {right.Silo}", backends: 2);
        await transaction.RollbackAsync(Cancel);
        await sweeping;
        Assert.True(await resuming);
        Assert.Equal("late", await right.ResultAsync<string>("raced"));
    }

    /// <summary>By one sweep, in all tables of the engine but that of the silos.</summary>
    private static async Task<long> RowsReadAsync(TestEngine engine, bool far)
    {
        var database = engine.Engine.Context.Database;
        await using var connection = await database.Engine.OpenConnectionAsync(Cancel);
        await using var transaction = await connection.BeginTransactionAsync(Cancel);
        await using (var sweep = connection.CreateBatch())
        {
            new WorkFinder(database, engine.Engine.Context.Codes).Write(
                sweep, TimeSpan.FromHours(1), Partition.All,
                TimeSpan.FromSeconds(5), 1000, far);
            await using var reader = await sweep.ExecuteReaderAsync(Cancel);
            var found = await WorkFinder.ReadAsync(reader, far);
            Assert.NotNull(found.Now);
            Assert.Empty(found.Runs);
        }

        await using var read = new NpgsqlCommand(
            "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_xact_user_tables where schemaname = 'actors' and "
                + "relname <> 'silos'", connection);
        var rows = (long)(await read.ExecuteScalarAsync(Cancel))!;
        await transaction.CommitAsync(Cancel);
        return rows;
    }
}
