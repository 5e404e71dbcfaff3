using System.Diagnostics;
using Actors.Grains.Tests.Execution;
using Actors.Storage;
using Actors.Support;
using Actors.TestSilo;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>What callers in a silo see of it.</summary>
public sealed class SiloTests(SiloTests.OneSilo silo, ITestOutputHelper output) : IClassFixture<SiloTests.OneSilo>
{
    private static TimeSpan Limit => TimeSpan.FromSeconds(60);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private IWorkflowClient Workflows => silo.Services.GetRequiredService<IWorkflowClient>();

    [Fact]
    public async Task A_silo_runs_workflows_for_callers_inside_it()
    {
        var handle = Workflows.Get<ICounting>("c-1");
        await handle.StartAsync(1);
        await handle.SignalAsync(w => w.Add(5));
        Assert.Equal(6, await handle.QueryAsync(w => w.Total()));
        await handle.SignalAsync(w => w.Add(94));
        Assert.Equal(100, await handle.ResultAsync());
        Assert.Equal(WorkflowStatus.Completed, (await handle.StatusAsync())!.Status);
        await Assert.ThrowsAsync<WorkflowEndedException>(() => handle.SignalAsync(w => w.Add(1)));
    }

    [Fact]
    public async Task A_result_is_given_to_callers_with_the_run_s_own_contract_alone()
    {
        var handle = Workflows.Get<ICounting>("c-2");
        await handle.StartAsync(1);
        await Assert.ThrowsAsync<WorkflowTypeMismatchException>(() => Workflows.Get<IWeighing>("c-2").ResultAsync());
        await handle.SignalAsync(w => w.Add(99));
        Assert.Equal(100, await handle.ResultAsync());
        var error = await Assert.ThrowsAsync<WorkflowTypeMismatchException>(() => Workflows.Get<IWeighing>("c-2").ResultAsync());
        Assert.Equal("Workflow 'c-2' exists and is a Counting, not a Weighing: choose another id.", error.Message);
    }

    [Fact]
    public async Task The_result_of_a_run_in_memory_here_takes_no_call_to_a_grain_and_of_one_that_has_ended_does()
    {
        var before = silo.Calls.Count;
        var handle = Workflows.Get<ICounting>("c-3");
        await handle.StartAsync(1);
        var result = handle.ResultAsync();
        await handle.SignalAsync(w => w.Add(99));
        Assert.Equal(100, await result);
        Assert.Equal(before, silo.Calls.Count);
        Assert.Equal(100, await handle.ResultAsync()); // It has ended: its grain reads what the database holds.
        Assert.Equal(before + 1, silo.Calls.Count);
    }

    [Fact]
    public async Task Who_waits_in_this_silo_for_a_run_that_leaves_it_goes_on_waiting_for_it()
    {
        var handle = Workflows.Get<ICounting>("c-4");
        await handle.StartAsync(1);
        var result = handle.ResultAsync();
        var engine = silo.Services.GetRequiredService<Actors.Execution.WorkflowEngine>();
        await engine.ReleaseAsync(handle.Id);
        await handle.SignalAsync(w => w.Add(99));
        Assert.Equal(100, await result);
    }

    /// <summary>As a program's main method may, once it has what it asked for.</summary>
    [Fact]
    public async Task A_caller_who_holds_the_thread_on_which_its_answer_came_holds_nobody_up()
    {
        using var end = new ManualResetEventSlim();
        var holders = new List<string?>();
        do
        {
            var holds = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
            _ = Task.Run(() => HoldAsync($"held-{holders.Count}", holds), Cancel);
            holders.Add(await holds.Task.WaitAsync(Limit, Cancel));
        }
        while (BlockingSocket.IsPossible && !holders.Contains("journal")); // The first comes over a connection that is being opened.

        var handle = Workflows.Get<ICounting>("not held");
        await handle.StartAsync(100);
        Assert.Equal(100, await handle.ResultAsync().WaitAsync(Limit, Cancel));
        end.Set();

        async Task HoldAsync(string id, TaskCompletionSource<string?> holds)
        {
            await Workflows.Get<ICounting>(id).StartAsync(100);
            await Workflows.Get<ICounting>(id).ResultAsync();
            holds.SetResult(Thread.CurrentThread.Name);
            end.Wait(Limit);
        }
    }

    [Fact]
    public async Task Who_waits_for_a_result_does_not_wait_for_what_another_does_with_it()
    {
        var handle = Workflows.Get<ICounting>("two wait");
        await handle.StartAsync(1);
        using var both = new Barrier(2);
        var waiters = new[] { WaitAsync(), WaitAsync() };
        await handle.SignalAsync(w => w.Add(99));
        Assert.DoesNotContain(false, await Task.WhenAll(waiters));

        async Task<bool> WaitAsync()
        {
            await handle.ResultAsync().ConfigureAwait(false);
            return both.SignalAndWait(TimeSpan.FromSeconds(7)); // Before the other would ask anew, after ten.
        }
    }

    /// <summary>A standby that is not promoted yet, and a disk that is full.</summary>
    [Theory]
    [InlineData("read-only", "alter database {0} set default_transaction_read_only = on",
        "alter database {0} reset default_transaction_read_only")]
    [InlineData(
        "full",
        "create function full_disk() returns trigger language plpgsql as $$ begin raise exception 'no space' using errcode = '53100'; end "
            + "$$; create trigger full_disk before update on actors.runs for each row execute function full_disk()",
        "drop trigger full_disk on actors.runs")]
    public async Task A_database_that_takes_nothing_for_now_makes_calls_unavailable_and_then_they_take_effect_once(
        string id, string harm, string heal)
    {
        var handle = Workflows.Get<ICounting>(id);
        var name = new Npgsql.NpgsqlConnectionStringBuilder(silo.Database.ConnectionString).Database!;
        var endSessions = $"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}' and application_name like "
            + $"'actors %' and application_name <> 'actors orleans'";
        await silo.Database.ExecuteAsync(harm.Replace("{0}", name, StringComparison.Ordinal));
        await silo.Database.ExecuteAsync(endSessions);
        await silo.Database.ExecuteAsync(
            $"set default_transaction_read_only = off; select actors.start_workflow('default', '{id}', 'Counting', '1'); reset "
            + $"default_transaction_read_only");
        await Assert.ThrowsAsync<WorkflowUnavailableException>(() => handle.SignalAsync(w => w.Add(99), "once"));
        await silo.Database.ExecuteAsync("set default_transaction_read_only = off; " + heal.Replace("{0}", name, StringComparison.Ordinal));
        await silo.Database.ExecuteAsync(endSessions);
        await SignalAsync(handle, 99);
        Assert.Equal(100, await handle.ResultAsync());
    }

    [Fact]
    public async Task Errors_of_queries_have_types()
    {
        var handle = Workflows.Get<ICounting>("queried");
        await handle.StartAsync(-1);
        var error = await Assert.ThrowsAsync<QueryFailedException>(() => handle.QueryAsync(w => w.Total()));
        Assert.Equal(typeof(InvalidTimeZoneException).FullName, error.ErrorType);
        await silo.Services.GetRequiredService<Actors.Execution.WorkflowEngine>().ReleaseAsync(handle.Id);
        Assert.Equal(error.Message, (await Assert.ThrowsAsync<QueryFailedException>(() => handle.QueryAsync(w => w.Total()))).Message);
        await silo.Database.ExecuteAsync($"""
            with run as (update actors.runs set position = 1 where id = 'queried' returning instance)
            insert into actors.journal (instance, at, position, seq, kind, name) select instance, now(), 1, 1, {(int)JournalKind.StepCompleted}, 'unknown' from run
            """);
        Assert.Contains("its history holds StepCompleted 'unknown' there",
            (await Assert.ThrowsAsync<WorkflowCodeException>(() => handle.QueryAsync(w => w.Total()))).Message, StringComparison.Ordinal);
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

    [Fact]
    public async Task A_start_in_the_caller_s_transaction_runs_within_a_second_and_only_if_it_commits()
    {
        await using var connection = await silo.Database.DataSource.OpenConnectionAsync(Cancel);
        await using (var rolledBack = await connection.BeginTransactionAsync(Cancel))
        {
            await Workflows.Get<INap>("n-0").StartAsync(TimeSpan.Zero, rolledBack, cancellation: Cancel);
            await rolledBack.RollbackAsync(Cancel);
        }

        await using (var committed = await connection.BeginTransactionAsync(Cancel))
        {
            await Workflows.Get<INap>("n-1").StartAsync(TimeSpan.Zero, committed, cancellation: Cancel);
            await Workflows.Get<IWaiting>("w-1").WithSignal(w => w.Go(7)).StartAsync(1, committed, cancellation: Cancel);
            await committed.CommitAsync(Cancel);
        }

        await UntilAsync("select status = 1 from actors.runs where id = 'n-1'");
        Assert.Equal(8, await Workflows.Get<IWaiting>("w-1").ResultAsync(Cancel));
        Assert.Null(await Workflows.Get<INap>("n-0").StatusAsync(Cancel));
        output.WriteLine($"ended {await silo.Database.ScalarAsync<double>("select extract(epoch from ended_at - created_at)::float8 from actors.runs where id = 'n-1'")} s after its start");
    }

    [Fact]
    public async Task Sleepers_leave_memory_and_wake_on_time()
    {
        var handles = Enumerable.Range(0, 200).Select(i => Workflows.Get<INap>($"sleeper-{i}")).ToList();
        await Task.WhenAll(handles.Select(handle => handle.StartAsync(TimeSpan.FromSeconds(14), cancellation: Cancel)));
        await UntilAsync("select count(*) = 200 from actors.runs where id like 'sleeper-%' and owner is null");
        var late = await Task.WhenAll(handles.Select(handle => handle.ResultAsync(Cancel)));
        output.WriteLine($"late by up to {late.Max()} ms, on average {late.Average()} ms");
        Assert.All(late, milliseconds => Assert.True(milliseconds >= 0));
        Assert.Equal(0, await silo.Database.ScalarAsync<long>("select count(*) from actors.timers"));
    }

    [Fact]
    public async Task An_ordinary_grain_keeps_its_state_in_Postgres()
    {
        var counter = silo.Cluster.Grains.GetGrain<ICounterGrain>("c");
        Assert.Equal(3, await counter.AddAsync(3));
        await silo.Cluster.DeactivateAsync(counter);
        Assert.Equal(7, await counter.AddAsync(4));
    }

    /// <summary>Looks at the database until the query gives true: for what only the database shows.</summary>
    private async Task UntilAsync(string sql)
    {
        for (var watch = Stopwatch.StartNew(); !await silo.Database.ScalarAsync<bool>(sql); await Task.Delay(20, Cancel))
        {
            Assert.True(watch.Elapsed < Limit, $"Never true: {sql}");
        }
    }

    /// <summary>One silo for all tests here.</summary>
    public sealed class OneSilo : IAsyncLifetime
    {
        internal TestDatabase Database { get; } = new();

        internal InProcessCluster Cluster { get; private set; } = null!;

        internal ResultCalls Calls { get; } = new();

        internal IServiceProvider Services => Cluster.Silo(0);

        public async ValueTask InitializeAsync()
        {
            await Database.InitializeAsync();
            Cluster = await InProcessCluster.StartAsync(Database.ConnectionString, 1, actors =>
            {
                actors.AddWorkflow<Counting>().AddWorkflow<Nap>().AddWorkflow<Waiting>();
                actors.Services.AddSingleton<IIncomingGrainCallFilter>(Calls);
            });
        }

        public async ValueTask DisposeAsync()
        {
            await Cluster.DisposeAsync();
            await Database.DisposeAsync();
        }
    }

    internal sealed class ResultCalls : IIncomingGrainCallFilter
    {
        private int _count;

        public int Count => _count;

        public Task Invoke(IIncomingGrainCallContext context)
        {
            if (context.Request.GetArgumentCount() > 0 && context.Request.GetArgument(0) is Wire.ResultCall)
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
