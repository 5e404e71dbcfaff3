using System.Collections.Concurrent;
using System.Globalization;
using System.Data;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;
using static Actors.Grains.Tests.Execution.Ledger;

namespace Actors.Grains.Tests.Execution;

/// <summary>What user code does wrong is recorded, counted and visible; nothing is repeated in silence.</summary>
public sealed class MisbehaviourTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private static readonly Retry Quick = Retry.Exponential(3, TimeSpan.FromMilliseconds(1));

    public async ValueTask InitializeAsync() => await CreateAsync(database);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_body_over_whose_value_Npgsql_closed_the_connection_has_failed_once_and_says_why()
    {
        var calls = 0;
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Transaction("sends", async tx =>
            {
                calls++;
                await using var command = new NpgsqlCommand("select $1", tx.Connection)
                {
                    Parameters = { new NpgsqlParameter<DateTimeOffset> { TypedValue = new(2026, 1, 1, 0, 0, 0, TimeSpan.FromHours(2)) } },
                };
                try
                {
                    await command.ExecuteNonQueryAsync();
                }
                catch (ArgumentException error)
                {
                    await tx.Connection.CloseAsync(); // As it is after a value that was refused half way.
                    throw new DataException("An error occurred while saving.", error);
                }
            });
            return "";
        });
        var failed = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync("closed"));
        Assert.Contains("An error occurred while saving.", failed.Message, StringComparison.Ordinal);
        Assert.Equal(1, calls);
    }

    [Fact]
    public async Task A_body_that_is_interrupted_again_and_again_is_logged_and_shown_and_fails_after_ten_times()
    {
        var (calls, lines, problems) = (0, new LogLines(), new ConcurrentDictionary<string, bool>());
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await w.Transaction("ends its session", async tx =>
                {
                    calls++;
                    await RunAsync(tx, "select pg_terminate_backend(pg_backend_pid())");
                });
                return "";
            },
            builder => builder.Services.AddSingleton<TimeProvider>(new QuickTime(5)),
            log => log.AddProvider(lines));
        await engine.StartAsync("interrupted");
        var ended = engine.ResultAsync<string>("interrupted");
        while (!ended.IsCompleted)
        {
            problems.TryAdd((await engine.StatusAsync("interrupted")).Problem ?? "", true);
            await Task.WhenAny(ended, Task.Delay(2));
        }

        Assert.Contains("57P01", (await Assert.ThrowsAsync<WorkflowFailedException>(() => ended)).Message, StringComparison.Ordinal);
        Assert.InRange(calls, 4, 11); // Ten interruptions, or those of half a minute.
        Assert.Equal(calls - 1,
            lines.Of("Actors.Workflow.Scripted").Count(line => line.Contains("transaction 'ends its session'", StringComparison.Ordinal)));
        Assert.Contains(problems.Keys, problem => problem.Contains("was interrupted 3 times", StringComparison.Ordinal));
        Assert.DoesNotContain(problems.Keys, problem => problem.Contains("was interrupted 2 times", StringComparison.Ordinal));
    }

    [Fact]
    public async Task After_too_many_interruptions_each_further_one_is_a_failed_attempt()
    {
        var attempts = new ConcurrentQueue<int>();
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await w.Transaction("ends its session", async tx =>
                {
                    attempts.Enqueue(tx.Attempt);
                    await RunAsync(tx, "select pg_terminate_backend(pg_backend_pid())");
                }, new() { Retry = Quick });
                return "";
            },
            builder => builder.Services.AddSingleton<TimeProvider>(new QuickTime(20)));
        await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync("worn"));
        Assert.InRange(attempts.Count(attempt => attempt == 1), 2, 11);
        Assert.Single(attempts, attempt => attempt == 2);
        Assert.Single(attempts, attempt => attempt == 3);
    }

    [Theory]
    [InlineData("set local statement_timeout = 200")]
    [InlineData("set statement_timeout = 200")]
    [InlineData("set local search_path = elsewhere")]
    [InlineData("set local role nobody")]
    [InlineData("set role nobody")]
    [InlineData("set local synchronous_commit = off")]
    public async Task What_a_body_set_of_its_session_does_not_touch_the_commit(string set)
    {
        // An entry that takes longer than the time-outs below.
        await database.ExecuteAsync("""
            create table if not exists plain (amount int);
            create or replace function sleep() returns trigger language plpgsql as $$ begin perform pg_sleep(0.4); return null; end $$;
            create or replace trigger sleep after insert on actors.journal for each row when (new.name = 'sets') execute function sleep();
            do $$ begin create role nobody; exception when duplicate_object then null; end $$;
            grant insert on plain to nobody;
            """);
        var calls = 0;
        await using var engine = await database.ScriptAsync(async w => await w.Transaction("sets", async tx =>
        {
            calls++;
            await RunAsync(tx, "insert into plain values (1)");
            await RunAsync(tx, set);
            return "committed";
        }));
        Assert.Equal("committed", await engine.RunAsync(set));
        Assert.Equal(1, calls);
        await database.ExecuteAsync("drop trigger sleep on actors.journal; drop table plain");
    }

    [Fact]
    public async Task A_statement_that_a_body_does_not_wait_for_fails_its_attempt_and_holds_up_nobody()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            if (w.Input == "after")
            {
                return await w.Transaction("after", async tx => $"{await PayAsync(tx, w.Id.Id, 1)}");
            }

            await w.Transaction("forgets", tx =>
            {
                _ = RunAsync(tx, "select pg_sleep(20)");
                return Task.Delay(50);
            });
            return "";
        });
        var failing = engine.RunAsync("forgets");
        Assert.Contains("in progress",
            (await Assert.ThrowsAsync<WorkflowFailedException>(() => failing.WaitAsync(TimeSpan.FromSeconds(10)))).Message,
            StringComparison.Ordinal);
        Assert.Equal("1", await engine.RunAsync("after", "after"));
    }

    [Fact]
    public async Task The_encoding_that_a_body_set_garbles_no_text_of_the_engine()
    {
        await using var engine = await database.ScriptAsync(async w => await w.Transaction("zahlen für Jörg", async tx =>
        {
            await RunAsync(tx, "set local client_encoding = 'LATIN1'");
            return "ü";
        }));
        Assert.Equal("ü", await engine.RunAsync("encoded"));
        Assert.Equal(1, await database.ScalarAsync<int>("select count(*) from actors.journal where name = 'zahlen für Jörg'"));
    }

    [Fact]
    public async Task A_body_that_makes_its_transaction_read_only_fails_once_with_words()
    {
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Transaction("reads", tx => RunAsync(tx, "set transaction read only"));
            return "";
        });
        var error = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.RunAsync("read only"));
        Assert.Contains("made its transaction read only", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bodies_that_wait_for_each_other_s_connections_end_after_the_idle_limit_and_free_their_places()
    {
        TestEngine? engine = null;
        await using var running = engine = await database.ScriptAsync(
            async w =>
            {
                if (w.Input == "inner")
                {
                    return await w.Transaction("inner", async tx => $"{await PayAsync(tx, w.Id.Id, 1)}");
                }

                try
                {
                    return await w.Transaction("outer", async tx =>
                    {
                        await PayAsync(tx, w.Id.Id, 1);
                        await engine!.StartAsync($"{w.Id.Id} inner", "inner");
                        return await engine!.ResultAsync<string>($"{w.Id.Id} inner", TimeSpan.FromMinutes(1));
                    });
                }
                catch (StepFailedException error)
                {
                    return error.ErrorMessage;
                }
            },
            builder => (builder.Execution.TransactionConnectionsMax, builder.Execution.IdleTransactionTimeout) = (
                2, TimeSpan.FromSeconds(1)));
        await Task.WhenAll(engine.StartAsync("first"), engine.StartAsync("second"));
        string[] outcomes = [await engine.ResultAsync<string>("first"), await engine.ResultAsync<string>("second")];
        Assert.Contains(outcomes, outcome => outcome.Contains("IdleTransactionTimeout", StringComparison.Ordinal));
        Assert.Equal("1", await engine.ResultAsync<string>("first inner"));
        Assert.Equal("1", await engine.ResultAsync<string>("second inner"));
        Assert.Equal("1", await engine.RunAsync("after", "inner"));
    }

    [Fact]
    public async Task Waiting_for_a_connection_uses_up_no_attempt_and_no_interruption()
    {
        var (attempts, holds) = (new ConcurrentQueue<int>(), new TaskCompletionSource());
        await using var engine = await database.ScriptAsync(
            new Script(async w => await w.Transaction("holds", async tx =>
            {
                await PayAsync(tx, $"one pool, {w.Id.Id}", 1);
                attempts.Enqueue(tx.Attempt);
                await holds.Task;
                return "held";
            })),
            builder =>
            {
                builder.Execution.TransactionConnectionsMax = 1;
                builder.Services.AddSingleton<TimeProvider>(new QuickTime(20)); // Half a minute of interruptions ends an attempt.
            },
            connection: "Timeout=1");
        await engine.StartAsync("holds it");
        while (attempts.IsEmpty)
        {
            await Task.Delay(10);
        }

        await engine.StartAsync("has none");
        int waited;
        do
        {
            await Task.Delay(20);
            waited = await SecondsWithoutConnectionAsync(engine, "has none");
        }
        while (waited <= 60);
        holds.SetResult();
        Assert.Equal("held", await engine.ResultAsync<string>("has none"));
        Assert.Equal([1, 1], attempts);
    }

    private static async Task<int> SecondsWithoutConnectionAsync(TestEngine engine, string id)
    {
        const string Said = "has had no connection to Postgres for ";
        var problem = (await engine.StatusAsync(id)).Problem ?? "";
        var at = problem.IndexOf(Said, StringComparison.Ordinal);
        return at < 0 ? 0 : int.Parse(problem[(at + Said.Length)..].Split(' ')[0], CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task An_empty_pool_is_logged_and_in_the_health()
    {
        var (lines, holds) = (new LogLines(), new TaskCompletionSource());
        await using var engine = await database.ScriptAsync(
            async w => await w.Transaction("holds", async tx =>
            {
                await PayAsync(tx, w.Id.Id, 1);
                await holds.Task;
                return "held";
            }),
            builder =>
            {
                builder.Execution.TransactionConnectionsMax = 1;
                builder.Services.AddSingleton<TimeProvider>(new QuickTime(10));
            },
            log => log.AddProvider(lines));
        await Task.WhenAll(engine.StartAsync("has it"), engine.StartAsync("waits for it"));
        string? problem;
        while ((problem = engine.Engine.Context.Sessions.Problem) is null)
        {
            await Task.Delay(50);
        }

        Assert.StartsWith("1 transaction(s) wait for a connection", problem, StringComparison.Ordinal);
        Assert.Contains("TransactionConnectionsMax", problem, StringComparison.Ordinal);
        Assert.StartsWith("1 transaction(s) wait for a connection", lines.Of("Actors.Execution.TransactionSessions").First(),
            StringComparison.Ordinal);
        holds.SetResult();
        Assert.Equal("held", await engine.ResultAsync<string>("waits for it"));
        while (engine.Engine.Context.Sessions.Problem is not null)
        {
            await Task.Delay(50);
        }
    }

    [Theory]
    [InlineData("time")]
    [InlineData("idle")]
    public async Task A_serializable_body_that_waits_for_its_own_run_s_signal_ends_by_its_limits(string limit)
    {
        var heard = new TaskCompletionSource();
        var script = new Script(async w =>
        {
            try
            {
                var retry = limit == "time" ? Retry.None.WithAttemptTimeout(TimeSpan.FromMilliseconds(300)) : Retry.None;
                await w.Transaction("waits", async tx =>
                    { await PayAsync(tx, "waits", 1); await heard.Task; },
                    new() { Isolation = IsolationLevel.Serializable, Retry = retry });
            }
            catch (StepFailedException error)
            {
                await w.WaitUntil(() => w.Heard.Count > 0);
                return error.ErrorType;
            }

            return "heard";
        });
        await using var engine = await database.ScriptAsync(
            script, builder => builder.Execution.IdleTransactionTimeout = TimeSpan.FromSeconds(1));
        await engine.StartAsync(limit);
        await engine.PokeAsync(limit, "now").WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.Equal("System.TimeoutException", await engine.ResultAsync<string>(limit));
        heard.SetResult();
    }

    [Theory]
    [InlineData("predicate")]
    [InlineData("step")]
    [InlineData("transaction")]
    [InlineData("code")]
    [InlineData("handler")]
    public async Task What_throws_when_it_is_asked_about_a_failure_is_recorded_once_and_not_tried_again(string where)
    {
        var calls = 0;
        Exception Failure() => where == "predicate" ? new InvalidOperationException("plain") : new Unspeakable();
        var retry = where == "predicate" ? Quick.Only(_ => throw new Unspeakable()) : Retry.None;
        var script = new Script(async w =>
        {
            await w.WaitUntil(() => w.Heard.Count > 0);
            calls++;
            await (where switch
            {
                "code" => throw Failure(),
                "transaction" => w.Transaction("throws", _ => throw Failure()),
                _ => w.Step("throws", _ => throw Failure(), retry),
            });
            return "";
        })
        {
            OnPoke = (w, text) =>
            {
                w.Heard.Add(text);
                return where == "handler" ? throw Failure() : Task.CompletedTask;
            },
        };
        await using var engine = await database.ScriptAsync(
            script, builder => builder.Execution.ReplayCheck = ReplayCheck.Off, log => log.AddProvider(new Speaking()));
        await engine.StartAsync($"asked {where}");
        await engine.PokeAsync($"asked {where}", "now");
        var failed = await Assert.ThrowsAsync<WorkflowFailedException>(() => engine.ResultAsync<string>($"asked {where}"));
        Assert.Contains(where == "predicate" ? "plain" : "Unspeakable", failed.Message, StringComparison.Ordinal);
        Assert.InRange(calls, 0, 1);
    }

    /// <summary>As a console's logger writes exceptions.</summary>
    private sealed class Speaking : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => _ = formatter(state, exception) + exception;

        public void Dispose()
        {
        }
    }

    internal sealed class Unspeakable : Exception
    {
        public override string Message => throw new NotSupportedException("no words");
    }
}
