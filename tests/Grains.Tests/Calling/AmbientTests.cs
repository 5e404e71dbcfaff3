using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Transactions;
using Actors.Execution;
using Actors.Grains.Tests.Execution;
using Actors.Postgres;
using Actors.Storage;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Actors.Grains.Tests.Calling;

/// <summary>What surrounds a caller in the silo's process stays there, and what it asked for stays done.</summary>
public sealed class AmbientTests(AmbientTests.OneHost host) : IClassFixture<AmbientTests.OneHost>
{
    public static TheoryData<string> Surroundings => [.. Surrounding.Kinds.Keys];

    [Fact]
    public async Task What_was_acknowledged_under_a_transaction_scope_that_never_completed_is_there()
    {
        var workflows = host.Services.GetRequiredService<IWorkflowClient>();
        await workflows.Get<ISeeing>("lost-s").StartAsync(true);
        using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
        {
            await Task.WhenAll(Enumerable.Range(0, 40).Select(i => workflows.Get<ISeeing>($"lost-{i}").StartAsync(true)));
            await workflows.Get<ISeeing>("lost-s").SignalAsync(w => w.Add("signal"));
        }

        Assert.Equal(41, await host.Database.ScalarAsync<int>("select count(*) from actors.runs where id like 'lost-%'"));
        Assert.Equal(1, await host.Database.ScalarAsync<int>(
            $"select count(*) from actors.journal where kind = {(int)JournalKind.Signal} and instance = (select instance from "
            + $"actors.runs where id = 'lost-s')"));
    }

    [Theory]
    [MemberData(nameof(Surroundings))]
    public async Task Nothing_that_surrounds_a_caller_is_seen_by_the_code_that_its_call_runs(string kind)
    {
        var (workflows, engine) = (host.Services.GetRequiredService<IWorkflowClient>(), host.Services.GetRequiredService<WorkflowEngine>());
        var calls = new Dictionary<string, Func<IWorkflowHandle<ISeeing>, Task>>
        {
            ["query"] = handle => handle.QueryAsync(w => w.Seen()),
            ["signal"] = handle => handle.SignalAsync(w => w.Add("signal")),
            ["wake"] = handle => handle.WakeAsync(),
            ["result"] = async handle =>
            {
                var result = handle.ResultAsync();
                await handle.SignalAsync(w => w.Add("end"), "end");
                await result;
            },
        };
        foreach (var (call, make) in calls)
        {
            await SeeAsync(Surrounding.Kinds[kind], workflows.Get<ISeeing>($"{kind}-{call}"), make, rest: null);
            await SeeAsync(Surrounding.Kinds[kind], workflows.Get<ISeeing>($"{kind}-{call}-rests"), make, rest: id =>
                engine.ReleaseAsync(id));
        }
    }

    /// <summary>The most ordinary mistakes: a scope of one thread around an await, a culture that is set and not set back.</summary>
    [Fact]
    public async Task Nothing_that_one_workflow_s_code_leaves_behind_is_seen_by_another_s()
    {
        var workflows = host.Services.GetRequiredService<IWorkflowClient>();
        Seeing.Sightings.Clear();
        for (var i = 0; i < 20; i++)
        {
            await workflows.Get<ILittering>($"litters-{i}").StartAsync(true);
            await workflows.Get<ILittering>($"litters-{i}").QueryAsync(w => w.Litter());
            await workflows.Get<ISeeing>($"after-{i}").StartAsync(true);
            await workflows.Get<ISeeing>($"after-{i}").SignalAsync(w => w.Add("end"));
            await workflows.Get<ISeeing>($"after-{i}").ResultAsync();
        }

        Assert.Equal([], Seeing.Sightings.Except(Seeing.Nothing));
        var left = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => Task.Run(async () =>
        {
            var transaction = Transaction.Current;
            await Task.Yield();
            return transaction ?? Transaction.Current;
        })));
        Assert.All(left, Assert.Null); // The threads are the whole process's.
    }

    private static async Task SeeAsync(
        Func<Func<Task>, Task> around, IWorkflowHandle<ISeeing> handle, Func<IWorkflowHandle<ISeeing>, Task> call, Func<WorkflowId,
        Task>? rest)
    {
        Seeing.Sightings.Clear();
        await around(() => handle.StartAsync(true));
        await (rest?.Invoke(handle.Id) ?? Task.CompletedTask);
        await around(() => call(handle));
        await handle.SignalAsync(w => w.Add("end"), "end");
        await handle.ResultAsync();
        Assert.Equal([], Seeing.Sightings.Except(Seeing.Nothing));
        Assert.Superset(new HashSet<string> { "constructor", "code", "handler", "condition", "step", "transaction" }, Seeing.Places);
    }

    [Fact]
    public async Task A_call_s_span_stands_behind_its_caller_s_and_says_what_was_refused()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Actors", Sample = (ref _) => ActivitySamplingResult.AllData,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        var (workflows, mark) = (host.Services.GetRequiredService<IWorkflowClient>(), $"traced {Guid.NewGuid()}");
        using var caller = new Activity("a caller's").Start();
        await workflows.Get<ISeeing>(mark).StartAsync(true);
        await Assert.ThrowsAsync<WorkflowNotFoundException>(() => workflows.Get<ISeeing>(mark + "?").QueryAsync(w => w.Seen()));
        Assert.Same(caller, Activity.Current);
        var mine = spans.Where(span => ((string?)span.GetTagItem("actors.workflow"))?.StartsWith(mark, StringComparison.Ordinal) is true).ToList();
        Assert.Equal(["start", "query"], mine.Select(span => span.OperationName));
        Assert.All(mine, span => Assert.Equal((caller.TraceId, caller.SpanId), (span.TraceId, span.ParentSpanId)));
        Assert.Equal([ActivityStatusCode.Unset, ActivityStatusCode.Error], mine.Select(span => span.Status));
        Assert.Equal(nameof(WorkflowNotFoundException), mine[1].GetTagItem("error.type"));
    }

    public sealed class OneHost : IAsyncLifetime
    {
        private IHost _host = null!;

        internal TestDatabase Database { get; } = new();

        internal IServiceProvider Services => _host.Services;

        public async ValueTask InitializeAsync()
        {
            await Database.InitializeAsync();
            var builder = Host.CreateApplicationBuilder();
            builder.Logging.SetMinimumLevel(LogLevel.Warning);
            builder.AddActors(Database.ConnectionString, actors =>
            {
                actors.AddWorkflow<Seeing>().AddWorkflow<Littering>();
                (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = (LoopbackPort.Free(), LoopbackPort.Free());
            });
            _host = builder.Build();
            await _host.StartAsync(TestContext.Current.CancellationToken);
        }

        public async ValueTask DisposeAsync()
        {
            await _host.StopAsync(TestContext.Current.CancellationToken);
            _host.Dispose();
            await Database.DisposeAsync();
        }
    }
}

/// <summary>Calls with one thing each set around them, as callers have it.</summary>
internal static class Surrounding
{
    public static readonly AsyncLocal<string?> Local = new();

    public static readonly Dictionary<string, Func<Func<Task>, Task>> Kinds = new()
    {
        ["transaction"] = async call =>
        {
            using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
            {
                await call();
            }
        },
        ["transaction of the thread"] = call => OnThreadAsync(() =>
        {
            using (new TransactionScope())
            {
                call().Wait();
            }
        }),
        ["local"] = async call =>
        {
            Local.Value = "a caller's";
            await call();
        },
        ["culture"] = async call =>
        {
            SetCulture();
            await call();
        },
        ["request"] = async call =>
        {
            RequestContext.Set("caller", "a caller's");
            await call();
        },
        ["trace"] = async call =>
        {
            using var activity = new Activity("a caller's");
            activity.Start();
            await call();
        },
        ["scheduler"] = call =>
            Task.Factory.StartNew(
                call, CancellationToken.None, TaskCreationOptions.None,
                new ConcurrentExclusiveSchedulerPair().ConcurrentScheduler).Unwrap(),
        ["context"] = call => OnThreadAsync(() =>
        {
            SynchronizationContext.SetSynchronizationContext(new SynchronizationContext());
            call().Wait();
        }),
    };

    public static void SetCulture()
    {
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        culture.NumberFormat.NumberDecimalSeparator = ",";
        (CultureInfo.CurrentCulture, CultureInfo.CurrentUICulture) = (culture, culture);
    }

    private static Task OnThreadAsync(Action action)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                action();
                done.SetResult();
            }
            catch (Exception error)
            {
                done.SetException(error);
            }
        }).UnsafeStart();
        return done.Task;
    }
}

public interface ISeeing : IWorkflow<bool, int>
{
    [Signal]
    Task Add(string what);

    [Query]
    int Seen();
}

/// <summary>Notes what surrounds its code, wherever it runs, and ends with the signal "end".</summary>
public sealed class Seeing : Workflow<bool, int>, ISeeing
{
    private bool _ends;

    public Seeing() => Look("constructor");

    internal static ConcurrentQueue<string> Sightings { get; } = [];

    /// <summary>What was seen by code around which there was nothing.</summary>
    internal static IEnumerable<string> Nothing => Places.Select(place => place + ":");

    internal static HashSet<string> Places => [.. Sightings.Select(seen => seen[..seen.IndexOf(':', StringComparison.Ordinal)])];

    public Task Add(string what)
    {
        Look("handler");
        _ends |= what == "end";
        return Task.CompletedTask;
    }

    public int Seen()
    {
        Look("query");
        return Sightings.Count;
    }

    protected override async Task<int> RunAsync(bool input)
    {
        Look("code");
        await Step("see", _ => Task.FromResult(Look("step")));
        await Transaction("see", _ => Task.FromResult(Look("transaction")));
        await WaitUntil(() => Look("condition") && _ends);
        return Sightings.Count;
    }

    private static bool Look(string place)
    {
        var inTurn = place is "code" or "handler" or "condition"; // Whose context is the engine's own.
        Sightings.Enqueue($"{place}:"
            + (System.Transactions.Transaction.Current is null ? "" : " transaction")
            + (Surrounding.Local.Value is null ? "" : " local")
            + (CultureInfo.CurrentCulture.NumberFormat.NumberDecimalSeparator == "."
                && CultureInfo.CurrentUICulture.NumberFormat.NumberDecimalSeparator == "." ? "" : " culture")
            + (RequestContext.Get("caller") is null ? "" : " request")
            + (Activity.Current is null ? "" : " trace")
            + (TaskScheduler.Current == TaskScheduler.Default ? "" : " scheduler")
            + (inTurn || SynchronizationContext.Current is null ? "" : " context"));
        return true;
    }
}

public interface ILittering : IWorkflow<bool, int>
{
    [Query]
    int Litter();
}

/// <summary>Sets in code, steps and queries what it does not set back.</summary>
public sealed class Littering : Workflow<bool, int>, ILittering
{
    public int Litter()
    {
        Surrounding.SetCulture();
        Surrounding.Local.Value = "a workflow's";
        _ = new TransactionScope();
        return 0;
    }

    protected override async Task<int> RunAsync(bool input)
    {
        await Step("litter", async _ => await Task.FromResult(Litter()));
        await WaitUntil(() => Litter() > 0);
        return 0;
    }
}
