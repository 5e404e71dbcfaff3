using System.Data;
using Actors.Support;
using Npgsql;
using Xunit;
using static Actors.Grains.Tests.Execution.Ledger;

namespace Actors.Grains.Tests.Execution;

/// <summary>Transactions: business rows, result and messages in one commit, exactly once.</summary>
public sealed class TransactionTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private static readonly Retry Quick = Retry.Exponential(3, TimeSpan.FromMilliseconds(1));

    public async ValueTask InitializeAsync() => await Ledger.CreateAsync(database);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Rows_result_and_messages_of_a_body_that_throws_are_rolled_back_together()
    {
        await using var engine = await database.ScriptAsync(async w => await w.Transaction(
            "pay",
            async tx =>
            {
                await PayAsync(tx, "throws", tx.Attempt);
                tx.Publish("topic", "k", tx.Attempt);
                return tx.Attempt < 3 ? throw new FormatException() : $"attempt {tx.Attempt}";
            },
            new TransactionOptions { Retry = Quick }));
        Assert.Equal("attempt 3", await engine.RunAsync("throws"));
        Assert.Equal(3, await database.ScalarAsync<int>("select sum(amount) from ledger where id = 'throws'"));
        Assert.Equal("3", await database.ScalarAsync<string>(
            "select string_agg(payload::text, ',') from actors.outbox o join actors.runs w using (instance) where w.id = 'throws'"));
    }

    [Fact]
    public async Task Without_a_policy_a_body_that_throws_fails_its_transaction_at_once()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Transaction("pay", async tx => { await PayAsync(tx, "once", 1); throw new FormatException("refused"); });
            return "";
        });
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync("once"));
        Assert.Equal("System.FormatException", error.ErrorType);
        Assert.Equal(0, await database.ScalarAsync<int>("select count(*) from ledger where id = 'once'"));
    }

    [Theory]
    [InlineData("commit transaction", true)]
    [InlineData("commit transaction", false)]
    public async Task A_body_takes_effect_exactly_once_when_its_silo_dies_around_its_commit(string statement, bool before)
    {
        var (id, gate) = ($"{statement} {before}", new Gate());
        Func<Scripted, Task<string>> code = async w =>
        {
            await w.Transaction("pay", tx => PayAsync(tx, id, 1));
            return "paid";
        };
        await using var first = await database.ScriptAsync(code);
        await using var second = await database.ScriptAsync(code);
        Task Hold(string name) => name == statement ? gate.PassAsync() : Task.CompletedTask;
        first.Probe.Before = before ? Hold : null;
        first.Probe.After = before ? null : Hold;
        await first.StartAsync(id);
        await gate.Reached;
        await first.DieAsync();
        Assert.Equal("paid", await second.RunAsync(id));
        gate.Open();
        await first.LeftAsync(id);
        Assert.Equal(1, await database.ScalarAsync<int>($"select count(*) from ledger where id = '{id}'"));
    }

    [Fact]
    public async Task A_stale_owner_whose_connection_lives_commits_nothing()
    {
        var gate = new Gate();
        Func<Scripted, Task<string>> code = async w =>
        {
            await w.Transaction("pay", tx => PayAsync(tx, "stale", 1));
            return "paid";
        };
        await using var first = await database.ScriptAsync(code);
        await using var second = await database.ScriptAsync(code);
        first.Probe.Before = name => name == "commit transaction" ? gate.PassAsync() : Task.CompletedTask;
        await first.StartAsync("stale");
        await gate.Reached;
        await database.ExecuteAsync($"update actors.silos set dead_at = now() where id = '{first.Silo}'"); // Its backends are left alone.
        Assert.Equal("paid", await second.RunAsync("stale"));
        gate.Open();
        await first.LeftAsync("stale");
        Assert.Equal(1, await database.ScalarAsync<int>("select count(*) from ledger where id = 'stale'"));
    }

    [Fact]
    public async Task A_connection_lost_in_the_body_or_at_the_commit_runs_the_body_again_without_counting()
    {
        var attempts = new List<int>();
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Transaction("pay", async tx =>
            {
                attempts.Add(tx.Attempt);
                await PayAsync(tx, "lost", 1);
                if (attempts.Count == 1)
                {
                    await database.ExecuteAsync($"select pg_terminate_backend({tx.Connection.ProcessID})");
                    await PayAsync(tx, "lost", 1);
                }
            });
            return "paid";
        });
        var cut = 0;
        engine.Probe.Before = name => name == "commit transaction" && Interlocked.Increment(ref cut) == 1
            ? database.ExecuteAsync(
                $"select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'actors user {engine.Silo}'")
            : Task.CompletedTask;
        Assert.Equal("paid", await engine.RunAsync("lost"));
        Assert.Equal([1, 1, 1], attempts);
        Assert.Equal(1, await database.ScalarAsync<int>("select count(*) from ledger where id = 'lost'"));
    }

    [Theory]
    [InlineData("40001", false)]
    [InlineData("40P01", false)]
    [InlineData("40001", true)]
    public async Task A_conflict_runs_the_body_again_without_counting_it_also_when_a_library_wraps_it(string state, bool wrapped)
    {
        var attempts = new List<int>();
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Transaction("conflict", async tx =>
            {
                attempts.Add(tx.Attempt);
                if (attempts.Count < 3)
                {
                    try
                    {
                        await RunAsync(tx, $"do $$ begin raise exception 'lost' using errcode = '{state}'; end $$");
                    }
                    catch (PostgresException error) when (wrapped)
                    {
                        throw new InvalidOperationException("saving failed", error);
                    }
                }
            });
            return "done";
        });
        Assert.Equal("done", await engine.RunAsync($"conflict-{state}-{wrapped}"));
        Assert.Equal([1, 1, 1], attempts);
    }

    [Fact]
    public async Task Serializable_bodies_with_siblings_commit_and_see_no_conflict_with_their_own_workflow()
    {
        var calls = 0;
        await using var engine = await database.ScriptAsync(async w =>
        {
            var options = new TransactionOptions { Isolation = IsolationLevel.Serializable };
            var all = Enumerable.Range(0, 5).SelectMany(i => new Task[]
            {
                w.Transaction($"s{i}", async tx => { Interlocked.Increment(ref calls); await PayAsync(tx, "serializable", 1); }, options),
                w.Transaction($"r{i}", tx => PayAsync(tx, "plain", 1)),
                w.Step($"x{i}", _ => Task.CompletedTask),
            });
            await Task.WhenAll(all);
            return "done";
        });
        Assert.Equal("done", await engine.RunAsync("serializable"));
        Assert.Equal(5, calls);
        Assert.Equal(5, await database.ScalarAsync<int>("select count(*) from ledger where id = 'serializable'"));
        Assert.Equal(5, await database.ScalarAsync<int>("select count(*) from ledger where id = 'plain'"));
    }

    [Fact]
    public async Task Parallel_transactions_commit_each_for_itself()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            var all = Enumerable.Range(0, 10).Select(async i =>
            {
                try
                {
                    return await w.Transaction($"t{i}", async tx =>
                    {
                        await PayAsync(tx, "parallel", i);
                        return i % 3 == 0 ? throw new FormatException() : i;
                    });
                }
                catch (StepFailedException)
                {
                    return 0;
                }
            });
            return $"{(await Task.WhenAll(all)).Sum()}";
        });
        Assert.Equal("27", await engine.RunAsync("parallel"));
        Assert.Equal(27, await database.ScalarAsync<int>("select sum(amount) from ledger where id = 'parallel'"));
    }

    [Fact]
    public async Task A_commit_that_fails_loses_nothing_that_was_ready_beside_it()
    {
        // A deferred constraint fails at COMMIT itself; the signal and the step commit in the same entry.
        await database.ExecuteAsync(
            "create table promises (id int primary key, other int references promises deferrable initially deferred)");
        var (gate, held) = (new Gate(), 0);
        await using var engine = await database.ScriptAsync(async w =>
        {
            var step = w.Step("beside", _ => gate.PassAsync("kept"));
            try
            {
                await w.Transaction("breaks", tx => RunAsync(tx, "insert into promises values (1, 2)"));
            }
            catch (StepFailedException error)
            {
                w.Heard.Add(error.ErrorType.Split('.')[^1]);
            }

            return $"{await step} {string.Join(",", w.Heard)}";
        });
        engine.Probe.Before = async name =>
        {
            if (name == "commit transaction" && Interlocked.Increment(ref held) == 1)
            {
                gate.Open();
            }
        };
        await engine.StartAsync("breaks");
        await engine.PokeAsync("breaks", "poked");
        var result = await engine.ResultAsync<string>("breaks");
        Assert.StartsWith("kept", result, StringComparison.Ordinal);
        Assert.Contains("poked", result, StringComparison.Ordinal);
        Assert.Contains("PostgresException", result, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Transactions_wait_for_a_free_connection()
    {
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await Task.WhenAll(Enumerable.Range(0, 8).Select(i => w.Transaction($"t{i}", tx => PayAsync(tx, "few", 1))));
                return "all";
            },
            builder => builder.Execution.TransactionConnectionsMax = 1);
        Assert.Equal("all", await engine.RunAsync("few"));
        Assert.Equal(8, await database.ScalarAsync<int>("select count(*) from ledger where id = 'few'"));
    }

    [Fact]
    public async Task A_transaction_that_lost_its_race_is_rolled_back_and_frees_its_connection_at_the_end()
    {
        var (ready, ends) = (new Gate(), new Gate());
        await using var engine = await database.ScriptAsync(
            async w => w.Input == "second"
                ? await w.Transaction("after", _ => Task.FromResult("free"))
                : await await Task.WhenAny(
                    w.Transaction("loses", async tx => { await PayAsync(tx, "race", 1); await ready.PassAsync(); return "lost"; }),
                    w.Step("wins", _ => ends.PassAsync("won"))),
            builder => builder.Execution.TransactionConnectionsMax = 1);
        engine.Probe.Before = name =>
        {
            if (name == "commit" && ends.Reached.IsCompleted)
            {
                ready.Open(); // The body ends while the commit of the winner is under way.
            }

            return Task.CompletedTask;
        };
        await engine.StartAsync("race");
        await ready.Reached;
        ends.Open();
        Assert.Equal("won", await engine.ResultAsync<string>("race"));
        Assert.Equal("free", await engine.RunAsync("race-2", "second"));
        Assert.Equal(0, await database.ScalarAsync<int>("select count(*) from ledger where id = 'race'"));
    }
}
