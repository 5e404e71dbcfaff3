using Actors.Support;
using Npgsql;
using Xunit;
using static Actors.Grains.Tests.Execution.Ledger;

namespace Actors.Grains.Tests.Execution;

/// <summary>Bodies of transactions that fail by their own fault: it counts, it is told, and nothing is committed.</summary>
public sealed class TransactionFailureTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private static readonly Retry Quick = Retry.Exponential(3, TimeSpan.FromMilliseconds(1));

    public async ValueTask InitializeAsync() => await CreateAsync(database);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Theory]
    [InlineData("time-out")]
    [InlineData("io")]
    [InlineData("statement")]
    public async Task An_error_of_the_body_itself_counts_whatever_its_type(string what)
    {
        var calls = 0;
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Transaction(
                "fails",
                async tx =>
                {
                    Interlocked.Increment(ref calls);
                    await (what switch
                    {
                        "time-out" => throw new TimeoutException("another service"),
                        "io" => throw new IOException("a file"),
                        _ => RunAsync(tx, "set local statement_timeout = 1; select pg_sleep(1)"),
                    });
                },
                new TransactionOptions { Retry = Quick });
            return "";
        });
        await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync($"own-{what}"));
        Assert.Equal(3, calls);
    }

    [Fact]
    public async Task A_body_that_outlasts_its_time_has_failed_and_keeps_no_connection()
    {
        await using var engine = await database.ScriptAsync(
            async w => await w.Transaction(
                "slow",
                async tx =>
                {
                    await PayAsync(tx, "slow", tx.Attempt);
                    while (tx.Attempt == 1 && !tx.Cancellation.IsCancellationRequested)
                    {
                        await RunAsync(tx, "select pg_sleep(0.2)"); // Its time ends within, and it does not hear of it.
                    }

                    return "in time";
                },
                new TransactionOptions { Retry = Quick.WithAttemptTimeout(TimeSpan.FromSeconds(1)) }),
            builder => builder.Execution.TransactionConnectionsMax = 1);
        Assert.Equal("in time", await engine.RunAsync("slow"));
        Assert.Equal(2, await database.ScalarAsync<int>("select sum(amount) from ledger where id = 'slow'"));
    }

    [Fact]
    public async Task A_body_that_lets_its_transaction_idle_for_too_long_has_failed()
    {
        var calls = 0;
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await w.Transaction(
                    "idle",
                    async tx =>
                    {
                        Interlocked.Increment(ref calls);
                        await PayAsync(tx, "idle", 1);
                        await database.UntilEndedAsync(tx.Connection.ProcessID);
                    },
                    new TransactionOptions { Retry = Quick });
                return "";
            },
            builder => builder.Execution.IdleTransactionTimeout = TimeSpan.FromMilliseconds(100));
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync("idle"));
        Assert.Contains("25P03", error.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal(3, calls);
        Assert.Equal(0, await database.ScalarAsync<int>("select count(*) from ledger where id = 'idle'"));
    }

    [Fact]
    public async Task A_body_that_swallows_an_error_of_Postgres_fails_and_is_told_why()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Transaction("swallows", async tx =>
            {
                await PayAsync(tx, "swallowed", 1);
                await Assert.ThrowsAsync<PostgresException>(() => RunAsync(tx, "select 1 / 0"));
            });
            return "";
        });
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync("swallows"));
        Assert.Contains("use a savepoint", error.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal(0, await database.ScalarAsync<int>("select count(*) from ledger where id = 'swallowed'"));
    }

    [Theory]
    [InlineData("commit")]
    [InlineData("rollback")]
    [InlineData("sql commit")]
    [InlineData("sql rollback")]
    [InlineData("close")]
    public async Task A_body_that_ends_its_transaction_fails_clearly_and_without_a_record_of_success(string how)
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Transaction("ends", async tx =>
            {
                await PayAsync(tx, how, 1);
                await (how switch
                {
                    "commit" => tx.Transaction.CommitAsync(),
                    "rollback" => tx.Transaction.RollbackAsync(),
                    "close" => tx.Connection.CloseAsync(),
                    _ => RunAsync(tx, how[4..]),
                });
            });
            return "";
        });
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync(how));
        Assert.Contains("The body of transaction 'ends' (seq 1, TransactionFailureTests.cs:", error.ErrorMessage, StringComparison.Ordinal);
        Assert.Contains("ended its transaction", error.ErrorMessage, StringComparison.Ordinal);
        Assert.Contains(await database.JournalAsync(how), row => row.Contains("TransactionFailed", StringComparison.Ordinal));
    }

    /// <summary>SQLSTATEs of one's own say nothing about locks or connections: such an error would come again for ever.</summary>
    [Fact]
    public async Task A_deferred_trigger_that_refuses_the_commit_has_failed_the_body_whatever_its_code()
    {
        await database.ExecuteAsync("""
            create table if not exists guarded (amount int);
            create function refuse() returns trigger language plpgsql as $$ begin raise 'too much' using errcode = 'MY001'; end $$;
            create constraint trigger guard after insert on guarded deferrable initially deferred for each row execute function refuse();
            """);
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Transaction("guarded", tx => RunAsync(tx, "insert into guarded values (1)"), new TransactionOptions { Retry = Quick });
            return "";
        });
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync("guarded"));
        Assert.Contains("too much", error.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal(0, await database.ScalarAsync<int>("select count(*) from guarded"));
    }
}
