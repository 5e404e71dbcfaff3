using Actors.Grains.Tests.Execution;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>One silo in this process, as a host composes it.</summary>
public sealed class SiloTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private static TimeSpan Limit => TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_silo_runs_workflows_for_callers_inside_it()
    {
        using var host = await StartAsync();
        var workflows = host.Services.GetRequiredService<IWorkflowClient>();
        var handle = workflows.Get<ICounting>("c-1");
        await handle.StartAsync(1);
        await handle.SignalAsync(w => w.Add(5));
        Assert.Equal(6, await handle.QueryAsync(w => w.Total()));
        await handle.SignalAsync(w => w.Add(94));
        Assert.Equal(100, await handle.ResultAsync());
        Assert.Equal(WorkflowStatus.Completed, (await handle.StatusAsync())!.Status);
        await Assert.ThrowsAsync<WorkflowEndedException>(() => handle.SignalAsync(w => w.Add(1)));
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_result_is_given_to_callers_with_the_run_s_own_contract_alone()
    {
        using var host = await StartAsync();
        var workflows = host.Services.GetRequiredService<IWorkflowClient>();
        var handle = workflows.Get<ICounting>("c-2");
        await handle.StartAsync(1);
        await Assert.ThrowsAsync<WorkflowTypeMismatchException>(() => workflows.Get<IWeighing>("c-2").ResultAsync());
        await handle.SignalAsync(w => w.Add(99));
        Assert.Equal(100, await handle.ResultAsync());
        var error = await Assert.ThrowsAsync<WorkflowTypeMismatchException>(() => workflows.Get<IWeighing>("c-2").ResultAsync());
        Assert.Equal("Workflow 'c-2' exists and is a Counting, not a Weighing: choose another id.", error.Message);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task The_result_of_a_run_in_memory_here_takes_no_call_to_a_grain_and_of_one_that_has_ended_does()
    {
        var calls = new ResultCalls();
        using var host = await StartAsync(calls);
        var workflows = host.Services.GetRequiredService<IWorkflowClient>();
        var handle = workflows.Get<ICounting>("c-3");
        await handle.StartAsync(1);
        var result = handle.ResultAsync();
        await handle.SignalAsync(w => w.Add(99));
        Assert.Equal(100, await result);
        Assert.Equal(0, calls.Count);
        Assert.Equal(100, await handle.ResultAsync()); // It has ended: its mailbox reads what the database holds.
        Assert.Equal(1, calls.Count);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Who_waits_in_this_silo_for_a_run_that_leaves_it_goes_on_waiting_for_it()
    {
        using var host = await StartAsync();
        var handle = host.Services.GetRequiredService<IWorkflowClient>().Get<ICounting>("c-4");
        await handle.StartAsync(1);
        var result = handle.ResultAsync();
        var engine = host.Services.GetRequiredService<Actors.Execution.WorkflowEngine>();
        await engine.ReleaseAsync(handle.Id);
        await handle.SignalAsync(w => w.Add(99));
        Assert.Equal(100, await result);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>As a program's main method may, once it has what it asked for.</summary>
    [Fact]
    public async Task A_caller_who_holds_the_thread_on_which_its_answer_came_holds_nobody_up()
    {
        using var host = await StartAsync();
        var workflows = host.Services.GetRequiredService<IWorkflowClient>();
        using var end = new ManualResetEventSlim();
        var holders = new List<string?>();
        do
        {
            var holds = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
            _ = Task.Run(() => HoldAsync($"held-{holders.Count}", holds), TestContext.Current.CancellationToken);
            holders.Add(await holds.Task.WaitAsync(Limit, TestContext.Current.CancellationToken));
        }
        while (BlockingSocket.IsPossible && !holders.Contains("journal")); // The first comes over a connection that is being opened.

        var handle = workflows.Get<ICounting>("not held");
        await handle.StartAsync(100);
        Assert.Equal(100, await handle.ResultAsync().WaitAsync(Limit, TestContext.Current.CancellationToken));
        end.Set();
        await host.StopAsync(TestContext.Current.CancellationToken);

        async Task HoldAsync(string id, TaskCompletionSource<string?> holds)
        {
            await workflows.Get<ICounting>(id).StartAsync(100);
            await workflows.Get<ICounting>(id).ResultAsync();
            holds.SetResult(Thread.CurrentThread.Name);
            end.Wait(Limit);
        }
    }

    [Fact]
    public async Task Who_waits_for_a_result_does_not_wait_for_what_another_does_with_it()
    {
        using var host = await StartAsync();
        var handle = host.Services.GetRequiredService<IWorkflowClient>().Get<ICounting>("two wait");
        await handle.StartAsync(1);
        using var both = new Barrier(2);
        var waiters = new[] { WaitAsync(), WaitAsync() };
        await handle.SignalAsync(w => w.Add(99));
        Assert.DoesNotContain(false, await Task.WhenAll(waiters));
        await host.StopAsync(TestContext.Current.CancellationToken);

        async Task<bool> WaitAsync()
        {
            await handle.ResultAsync().ConfigureAwait(false);
            return both.SignalAndWait(TimeSpan.FromSeconds(7)); // Before the other would ask anew, after ten.
        }
    }

    /// <summary>A standby that is not promoted yet, and a disk that is full.</summary>
    [Theory]
    [InlineData("read-only", "alter database {0} set default_transaction_read_only = on", "alter database {0} reset default_transaction_read_only")]
    [InlineData(
        "full",
        "create function full_disk() returns trigger language plpgsql as $$ begin raise exception 'no space' using errcode = '53100'; end $$; create trigger full_disk before update on actors.workflows for each row execute function full_disk()",
        "drop trigger full_disk on actors.workflows")]
    public async Task A_database_that_takes_nothing_for_now_makes_calls_unavailable_and_then_they_take_effect_once(string id, string harm, string heal)
    {
        using var host = await StartAsync();
        var handle = host.Services.GetRequiredService<IWorkflowClient>().Get<ICounting>(id);
        var name = new Npgsql.NpgsqlConnectionStringBuilder(database.ConnectionString).Database!;
        var endSessions = $"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and application_name like 'actors %'";
        await database.ExecuteAsync(harm.Replace("{0}", name, StringComparison.Ordinal));
        await database.ExecuteAsync(endSessions);
        await database.ExecuteAsync($"set default_transaction_read_only = off; select actors.start_workflow('default', '{id}', 'Counting', '1'); reset default_transaction_read_only");
        await Assert.ThrowsAsync<WorkflowUnavailableException>(() => handle.SignalAsync(w => w.Add(99), "once"));
        await database.ExecuteAsync("set default_transaction_read_only = off; " + heal.Replace("{0}", name, StringComparison.Ordinal));
        await database.ExecuteAsync(endSessions);
        await SignalAsync(handle, 99);
        Assert.Equal(100, await handle.ResultAsync());
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_silo_that_leaves_in_order_has_said_so_before_Orleans_tells_the_others()
    {
        using var host = await StartAsync();
        await database.ExecuteAsync("""
            create table left_behind (silos bigint);
            create function leave() returns trigger language plpgsql as $$ begin insert into left_behind select count(*) from actors.silos s where s.address like '%:' || new.port || '@%'; return null; end $$;
            create trigger leave after update on actors.orleans_membership for each row when (new.status = 6 and old.status <> 6) execute function leave()
            """);
        await host.StopAsync(TestContext.Current.CancellationToken);
        Assert.Equal("0", await database.ScalarAsync<string>("select string_agg(silos::text, ',') from left_behind"));
        await database.ExecuteAsync("drop trigger leave on actors.orleans_membership; drop table left_behind");
    }

    [Fact]
    public async Task A_sink_is_told_the_database_s_time_of_its_attempt_whatever_the_host_s_clock_shows()
    {
        var sent = new TaskCompletionSource<OutboxMessage>(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Services.AddSingleton<TimeProvider>(new LateClock());
        builder.AddActors(database.ConnectionString, actors =>
        {
            actors.AddWorkflow<Telling>();
            actors.Outbox.Add("sink", new HandlerSink((message, _) =>
            {
                sent.TrySetResult(message);
                return Task.CompletedTask;
            }), "told");
            (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = (ReadyProcess.FreePort(), ReadyProcess.FreePort());
        });
        using var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        await host.Services.GetRequiredService<IWorkflowClient>().Get<ITelling>("tells").StartAsync(0);
        var message = await sent.Task.WaitAsync(Limit, TestContext.Current.CancellationToken);
        Assert.InRange(message.AttemptAt!.Value - message.At, TimeSpan.FromMinutes(-1), TimeSpan.FromMinutes(1));
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Errors_of_queries_have_types()
    {
        using var host = await StartAsync();
        var handle = host.Services.GetRequiredService<IWorkflowClient>().Get<ICounting>("queried");
        await handle.StartAsync(-1);
        var error = await Assert.ThrowsAsync<QueryFailedException>(() => handle.QueryAsync(w => w.Total()));
        Assert.Equal(typeof(InvalidTimeZoneException).FullName, error.ErrorType);
        await host.Services.GetRequiredService<Actors.Execution.WorkflowEngine>().ReleaseAsync(handle.Id);
        Assert.Equal(error.Message, (await Assert.ThrowsAsync<QueryFailedException>(() => handle.QueryAsync(w => w.Total()))).Message);
        await database.ExecuteAsync($"""
            with run as (update actors.workflows set position = 1 where id = 'queried' returning instance)
            insert into actors.journal (instance, at, position, seq, kind, name) select instance, now(), 1, 1, {(int)JournalKind.StepCompleted}, 'unknown' from run
            """);
        Assert.Contains("has not asked for", (await Assert.ThrowsAsync<WorkflowCodeException>(() => handle.QueryAsync(w => w.Total()))).Message, StringComparison.Ordinal);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    private static async Task SignalAsync(IWorkflowHandle<ICounting> handle, int amount)
    {
        while (true)
        {
            try
            {
                await handle.SignalAsync(w => w.Add(amount), "once");
                return;
            }
            catch (WorkflowUnavailableException)
            {
                // Its sessions are about to end.
            }
        }
    }

    private async Task<IHost> StartAsync(IIncomingGrainCallFilter? filter = null)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.AddActors(database.ConnectionString, actors =>
        {
            actors.AddWorkflow<Counting>();
            (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = (ReadyProcess.FreePort(), ReadyProcess.FreePort());
        });
        if (filter is not null)
        {
            builder.Services.AddSingleton(filter);
        }

        var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }

    private sealed class ResultCalls : IIncomingGrainCallFilter
    {
        private int _count;

        public int Count => _count;

        public Task Invoke(IIncomingGrainCallContext context)
        {
            if (context.MethodName == "ResultAsync")
            {
                Interlocked.Increment(ref _count);
            }

            return context.Invoke();
        }
    }
}

public interface ICounting : IWorkflow<int, int>
{
    [Signal]
    Task Add(int amount);

    [Query]
    int Total();
}

public interface IWeighing : IWorkflow<int, int>;

public sealed class Counting : Workflow<int, int>, ICounting
{
    private int _total;

    public Task Add(int amount)
    {
        _total += amount;
        return Task.CompletedTask;
    }

    public int Total() => _total < 0 ? throw new InvalidTimeZoneException("a query's own") : _total;

    protected override async Task<int> RunAsync(int input)
    {
        _total += input;
        await WaitUntil(() => _total >= 100);
        return _total;
    }
}

public interface ITelling : IWorkflow<int, int>;

/// <summary>One message.</summary>
public sealed class Telling : Workflow<int, int>, ITelling
{
    protected override Task<int> RunAsync(int input)
    {
        Publish("told", "", input);
        return Task.FromResult(input);
    }
}

/// <summary>Three hours behind.</summary>
public sealed class LateClock : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow().AddHours(-3);
}
