using Actors.Support;
using Actors.Wire;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;
using Xunit;
using static Actors.Grains.Tests.Execution.Ledger;

namespace Actors.Grains.Tests.Execution;

/// <summary>How long bodies may take, what is heard of those that take longer, and what they may use meanwhile.</summary>
public sealed class BodyLimitTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    public async ValueTask InitializeAsync() => await CreateAsync(database);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_hung_body_is_in_the_status_and_ends_by_the_default_limit()
    {
        var (time, begun, hangs) = (new MovableTime(), new TaskCompletionSource(), new TaskCompletionSource());
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                try
                {
                    await w.Step("hangs", _ => { begun.SetResult(); return hangs.Task; }, Retry.None);
                    return "";
                }
                catch (StepFailedException error)
                {
                    return error.ErrorMessage;
                }
            },
            builder => builder.Services.AddSingleton<TimeProvider>(time));
        await engine.StartAsync("hangs");
        await begun.Task;
        Assert.Null((await engine.StatusAsync("hangs")).Problem);
        time.Pass(TimeSpan.FromSeconds(11));
        var problem = (await engine.StatusAsync("hangs")).Problem;
        Assert.StartsWith("step 'hangs' (seq 1, BodyLimitTests.cs:", problem, StringComparison.Ordinal);
        Assert.Contains("runs since ", problem, StringComparison.Ordinal);
        Assert.Contains("06:00:00", problem, StringComparison.Ordinal);
        time.Pass(TimeSpan.FromHours(6));
        Assert.EndsWith("of workflow 'hangs' did not end within 06:00:00 (attempt 1).", await engine.ResultAsync<string>("hangs"),
            StringComparison.Ordinal);
        hangs.SetResult();
    }

    [Fact]
    public async Task Every_duration_and_time_is_honoured_or_capped_at_the_year_9999()
    {
        var calls = 0;
        await using var engine = await database.ScriptAsync(async w =>
        {
            await w.Step("long limit", _ => Task.CompletedTask, Retry.None.WithAttemptTimeout(TimeSpan.FromDays(60)));
            await w.Step("longest limit", _ => Task.CompletedTask, Retry.None.WithAttemptTimeout(TimeSpan.MaxValue));
            await w.Sleep(TimeSpan.MinValue);
            await w.SleepUntil(DateTimeOffset.MinValue);
            var passed = new[] { await w.WaitUntil(() => false, TimeSpan.FromMilliseconds(-1)),
                await w.WaitUntil(() => false, TimeSpan.MinValue), await w.WaitUntil(() => false, TimeSpan.Zero) };
            var far = new[] { w.Sleep(TimeSpan.MaxValue), w.SleepUntil(DateTimeOffset.MaxValue),
                w.WaitUntil(() => false, TimeSpan.MaxValue) };
            var fails = w.Step("fails", () =>
                { calls++; return calls > 1 ? 0 : throw new IOException(); },
                Retry.Exponential(5, TimeSpan.FromDays(3_650_000), cap: TimeSpan.MaxValue));
            w.Heard.Add($"{string.Join(",", passed)}");
            await Task.WhenAny([.. far, fails]);
            return "never";
        });
        await engine.StartAsync("durations");
        while (await database.CountAsync("timers", "durations") < 4)
        {
            await Task.Delay(20);
        }

        Assert.Equal("False,False,False", await engine.AskAsync("durations"));
        Assert.Equal(1, calls);
        Assert.Equal(
            4, await database.ScalarAsync<int>(
                "select count(*) from actors.timers join actors.runs using (instance) where id = 'durations' and extract(year from "
                + "due_at) = 9999"));
    }

    [Theory]
    [InlineData("step")]
    [InlineData("transaction")]
    public async Task What_a_body_returns_after_its_token_was_cancelled_is_not_recorded(string kind)
    {
        var (begun, calls) = (new TaskCompletionSource(), 0);
        async Task<string> Body(CancellationToken cancellation)
        {
            if (Interlocked.Increment(ref calls) > 1)
            {
                return "whole";
            }

            begun.SetResult();
            await Task.Delay(Timeout.Infinite, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return "partial";
        }

        Task<string> Code(Scripted w) =>
            kind == "step" ? w.Step("cut", step => Body(step.Cancellation)) : w.Transaction("cut", tx => Body(tx.Cancellation));
        await using var first = await database.ScriptAsync(Code);
        await using var second = await database.ScriptAsync(Code);
        await first.StartAsync($"cut {kind}");
        await begun.Task;
        await first.Engine.DrainAsync(TimeSpan.FromSeconds(20));
        Assert.Equal("whole", await second.ResultAsync<string>($"cut {kind}"));
    }

    [Fact]
    public async Task After_a_table_has_changed_a_prepared_statement_runs_again()
    {
        await database.ExecuteAsync("create table if not exists changing (a int)");
        var calls = 0;
        await using var engine = await database.ScriptAsync(
            async w => await w.Transaction("reads", async tx =>
            {
                calls++;
                await using var command = new NpgsqlCommand("select * from changing", tx.Connection);
                await using var reader = await command.ExecuteReaderAsync();
                return $"{reader.FieldCount}";
            }),
            builder => builder.Execution.TransactionConnectionsMax = 1);
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal("1", await engine.RunAsync($"reads {i}"));
        }

        await database.ExecuteAsync("alter table changing add column b int");
        Assert.Equal("2", await engine.RunAsync("reads on"));
        Assert.Equal(5, calls);
    }

    [Theory]
    [InlineData("", 1)]
    [InlineData(";Max Auto Prepare=0", 0)]
    public async Task The_connection_string_says_how_many_statements_of_bodies_are_prepared(string setting, int prepared)
    {
        await using var engine = await TestEngine.StartAsync(database.ConnectionString + setting, builder =>
        {
            builder.Services.AddSingleton(new Script(async w => await w.Transaction("counts", async tx =>
            {
                for (var i = 0; i < 5; i++)
                {
                    await RunAsync(tx, "select 'mine'");
                }

                await using var count = new NpgsqlCommand(
                    "select count(*)::int from pg_prepared_statements where statement = 'select ''mine'''", tx.Connection);
                return $"{await count.ExecuteScalarAsync()}";
            })));
            builder.AddWorkflow<Scripted>();
        });
        Assert.Equal($"{prepared}", await engine.RunAsync($"prepared {prepared}"));
    }

    [Fact]
    public async Task A_service_that_is_disposed_of_asynchronously_serves_queries_at_rest_and_lives_as_long_as_a_body()
    {
        var (begun, ends) = (new TaskCompletionSource(), new TaskCompletionSource());
        var services = new List<Asynchronous>();
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, builder =>
        {
            builder.Services.AddScoped(_ => { var made = new Asynchronous(); lock (services) { services.Add(made); } return made; });
            builder.Services.AddSingleton(new Gates(begun, ends));
            builder.AddWorkflow<Served>();
        });
        await engine.StartWorkflowAsync("served", nameof(Served), 0);
        await begun.Task;
        var first = services[0];
        await engine.SignalAsync("served", nameof(IServed.Leave), []);
        Assert.Equal(1, await engine.ResultAsync<int>("served")); // It has ended, and its body has not.
        Assert.Equal(2, await engine.QueryAsync<int>("served", nameof(IServed.Count)));
        Assert.True(services[1].IsDisposed);
        Assert.False(first.IsDisposed);
        ends.SetResult();
        while (!first.IsDisposed)
        {
            await Task.Yield();
        }
    }

    [Fact]
    public async Task Each_attempt_has_services_of_its_own_that_end_with_its_body()
    {
        var taken = new List<(string Step, Asynchronous Service)>();
        StepContext? kept = null;
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await Task.WhenAll(Step("a"), Step("b"));
                return await w.Transaction("t", tx =>
                {
                    Take("t", tx.Services);
                    return Task.FromResult("done");
                });

                Task<int> Step(string name) => w.Step(
                    name,
                    async step =>
                    {
                        kept = step;
                        Take(name, step.Services);
                        Take(name, step.Services); // The same within one attempt.
                        await Task.Yield();
                        return step.Attempt < 2 ? throw new TimeoutException() : 1;
                    },
                    Retry.Exponential(3, TimeSpan.FromMilliseconds(1)));
            },
            builder => builder.Services.AddScoped<Asynchronous>());
        Assert.Equal("done", await engine.RunAsync("services"));

        Assert.Equal(9, taken.Count); // Two attempts of two steps, twice each, and the transaction.
        Assert.Equal(5, taken.Select(one => one.Service).Distinct().Count());
        Assert.All(taken, one => Assert.True(one.Service.IsDisposed, one.Step));
        Assert.Throws<ObjectDisposedException>(() => kept!.Services);

        void Take(string step, IServiceProvider services)
        {
            lock (taken)
            {
                taken.Add((step, services.GetRequiredService<Asynchronous>()));
            }
        }
    }

    [Fact]
    public async Task What_a_body_publishes_after_its_end_is_refused_and_not_lost()
    {
        StepContext? kept = null;
        await using var engine = await database.ScriptAsync(
            async w => await w.Step("ends", step =>
            {
                kept = step;
                return Task.FromResult("ended");
            }),
            builder => builder.Outbox.Add("nowhere", new HandlerSink((_, _) => Task.CompletedTask), "late"));
        Assert.Equal("ended", await engine.RunAsync("late"));
        Assert.Throws<InvalidOperationException>(() => kept!.Publish("late", "key", 1));
    }

    [Fact]
    public async Task Mail_that_cannot_be_read_is_logged_waited_for_and_read_in_the_end()
    {
        var (lines, fails) = (new LogLines(), 2);
        await using var engine = await database.ScriptAsync(
            async w =>
            {
                await w.WaitUntil(() => w.Heard.Count > 0);
                return w.Heard[0];
            },
            logging: log => log.AddProvider(lines));
        await engine.StartAsync("mail");
        engine.Probe.Before = name =>
            name == "read letters" && Interlocked.Decrement(ref fails) >= 0 ? throw new InvalidOperationException("a reader")
            : Task.CompletedTask;
        await database.ExecuteAsync("select actors.send('default', 'mail', 'm', 'Poke', '[\"heard\"]')");
        await engine.WakeAsync("mail");
        Assert.Equal("heard", await engine.ResultAsync<string>("mail"));
        Assert.Equal(2, lines.Of("Actors.Workflow.Scripted").Count(
            line => line.Contains("its inbox cannot be read", StringComparison.Ordinal)));
    }

    public interface IServed : IWorkflow<int, int>
    {
        [Signal]
        Task Leave();

        [Query]
        int Count();
    }

    internal sealed record Gates(TaskCompletionSource Begun, TaskCompletionSource Ends);

    internal sealed class Asynchronous : IAsyncDisposable
    {
        public bool IsDisposed { get; private set; }

        public ValueTask DisposeAsync()
        {
            IsDisposed = true;
            return ValueTask.CompletedTask;
        }
    }

    internal sealed class Served(Asynchronous service, Gates gates) : Workflow<int, int>, IServed
    {
        private bool _leaves;

        public Task Leave()
        {
            _leaves = true;
            return Task.CompletedTask;
        }

        public int Count() => service.IsDisposed ? -1 : 2;

        protected override async Task<int> RunAsync(int input)
        {
            var outlasts = Step("outlasts", async _ =>
            {
                gates.Begun.SetResult();
                await gates.Ends.Task;
                return service.IsDisposed;
            });
            await Task.WhenAny(outlasts, WaitUntil(() => _leaves));
            return 1;
        }
    }

    /// <summary>Moves on by hand, beside the system's clock.</summary>
    private sealed class MovableTime : TimeProvider
    {
        private long _ahead;

        public override long GetTimestamp() => System.GetTimestamp() + Volatile.Read(ref _ahead);

        public void Pass(TimeSpan time) => Interlocked.Add(ref _ahead, (long)(time.TotalSeconds * TimestampFrequency));
    }
}
