using Actors.Cluster;
using Actors.Execution;
using Actors.Grains.Tests.Calling;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Placement;
using Orleans.Runtime;
using Orleans.Runtime.Placement;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>Where runs and their grains are: one silo or two and a client, all in this process.</summary>
public sealed class PlacementTests : IAsyncLifetime
{
    private const int Runs = 40;
    private TestDatabase _database = null!;
    private InProcessCluster? _cluster;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _database = await TestDatabase.CreateAsync();

    public async ValueTask DisposeAsync()
    {
        if (_cluster is not null)
        {
            await _cluster.DisposeAsync();
        }

        await _database.DisposeAsync();
    }

    [Fact]
    public async Task Runs_that_are_called_in_their_own_silo_have_no_grain()
    {
        var silo = await StartSiloAsync();
        var handles = await StartRunsAsync(Client(silo));
        foreach (var handle in handles)
        {
            Assert.False((await handle.WithSignal(w => w.Add(1)).StartAsync(1, cancellation: Cancel)).Started);
            await handle.SignalAsync(w => w.Add(1), cancellation: Cancel);
            Assert.Equal(3, await handle.QueryAsync(w => w.Total(), Cancel));
        }

        Assert.InRange(await GrainsAsync(silo), 1, 1 + (2 * Runs / 16)); // The first start asked where to go, and some later ones.
        await Task.WhenAll(handles.Select(async handle =>
        {
            await handle.SignalAsync(w => w.Add(97), cancellation: Cancel);
            Assert.Equal(100, await handle.ResultAsync(Cancel));
        }));
        await UntilAsync(async () => await GrainsAsync(silo) == 0); // They go with their runs.
    }

    [Fact]
    public async Task A_client_s_runs_have_no_grain_while_they_are_in_the_silo_that_it_is_connected_to()
    {
        var silo = await StartSiloAsync();
        var client = _cluster!.Client;
        var handles = await StartRunsAsync(client);
        foreach (var handle in handles)
        {
            Assert.False((await handle.WithSignal(w => w.Add(1)).StartAsync(1, cancellation: Cancel)).Started);
            await handle.SignalAsync(w => w.Add(1), cancellation: Cancel);
            Assert.Equal(3, await handle.QueryAsync(w => w.Total(), Cancel));
        }

        var results = handles.Select(handle => handle.ResultAsync(Cancel)).ToList();
        Assert.InRange(await GrainsAsync(silo), 1, 1 + (2 * Runs / 16));
        await Task.WhenAll(handles.Select(handle => handle.SignalAsync(w => w.Add(97), cancellation: Cancel)));
        Assert.All(await Task.WhenAll(results), result => Assert.Equal(100, result));
        await UntilAsync(async () => await GrainsAsync(silo) == 0);
    }

    [Fact]
    public async Task A_client_s_calls_find_runs_in_whichever_silo_they_are_and_leave_them_there()
    {
        var (one, other) = await StartTwoAsync();
        var handles = await StartRunsAsync(Client(one));
        var owners = await OwnersAsync();
        var client = _cluster!.Client;
        await AllAnswerWhereTheyAreAsync(client, handles, owners);
        var results = handles.Select(handle => client.Get<ICounting>(handle.Id.Id).ResultAsync(Cancel)).ToList();
        await Task.WhenAll(handles.Select(
            handle => Client(other).Get<ICounting>(handle.Id.Id).SignalAsync(w => w.Add(98), cancellation: Cancel)));
        Assert.All(await Task.WhenAll(results), result => Assert.Equal(100, result));
        Assert.Equal(1, await EpochMaxAsync());
    }

    [Fact]
    public async Task A_call_from_another_silo_finds_the_run_where_it_is()
    {
        var (one, other) = await StartTwoAsync();
        var handles = await StartRunsAsync(Client(one));
        var owners = await OwnersAsync();
        await AllAnswerWhereTheyAreAsync(Client(other), handles, owners);
    }

    [Fact]
    public async Task A_run_stays_where_it_is_when_its_grain_goes()
    {
        var (one, other) = await StartTwoAsync();
        var handles = await StartRunsAsync(Client(one));
        var owners = await OwnersAsync();
        await Task.WhenAll(handles.Select(
            handle => Client(other).Get<ICounting>(handle.Id.Id).SignalAsync(w => w.Add(1), cancellation: Cancel)));
        var there = other.GetRequiredService<WorkflowEngine>().Context.Database.Silo;
        Assert.InRange(await GrainsAsync(one), Math.Max(1, owners.Values.Count(owner => owner != there)), Runs);
        await Management(one).ForceActivationCollection(TimeSpan.Zero);
        await UntilAsync(async () => await GrainsAsync(one) == 0);
        Assert.Equal(owners, await OwnersAsync());
        await Task.WhenAll(handles.Select(
            handle => Client(other).Get<ICounting>(handle.Id.Id).SignalAsync(w => w.Add(98), cancellation: Cancel)));
        Assert.All(await Task.WhenAll(handles.Select(handle => handle.ResultAsync(Cancel))), result => Assert.Equal(100, result));
    }

    [Fact]
    public async Task A_grain_without_a_run_in_memory_does_not_stay()
    {
        var silo = await StartSiloAsync();
        var handles = await StartRunsAsync(Client(silo));
        await Task.WhenAll(handles.Select(handle => handle.SignalAsync(w => w.Add(99), cancellation: Cancel)));
        Assert.All(await Task.WhenAll(handles.Select(handle => handle.ResultAsync(Cancel))), result => Assert.Equal(100, result));
        Assert.All(await Task.WhenAll(handles.Select(handle => handle.StatusAsync(Cancel))), status =>
            Assert.Equal(WorkflowStatus.Completed, status!.Status));
        await UntilAsync(async () => await GrainsAsync(silo) == 0);
    }

    [Fact]
    public async Task What_looks_for_work_leaves_a_run_to_the_silo_that_has_it()
    {
        await using var owner = await TestEngine.StartAsync(_database.ConnectionString, actors => actors.AddWorkflow<Counting>());
        await using var other = await TestEngine.StartAsync(_database.ConnectionString, actors => actors.AddWorkflow<Counting>());
        var id = new WorkflowId("c-1");
        await owner.StartWorkflowAsync(id.Id, "Counting", 1);
        Assert.False(await other.Engine.WakeAsync(id));
        Assert.True(await owner.Engine.WakeAsync(id));
        await owner.SignalAsync(id.Id, "Add", [1]);
        Assert.Equal((1, (Guid?)owner.Silo), await owner.StatusAsync(id.Id) is var status ? (status.Epoch, status.Owner) : default);
        await owner.Engine.ReleaseAsync(id);
        Assert.True(await other.Engine.WakeAsync(id));
        await other.SignalAsync(id.Id, "Add", [98]);
        Assert.Equal(100, await other.ResultAsync<int>(id.Id));
    }

    [Fact]
    public async Task A_caller_whose_context_never_runs_anything_holds_up_no_other()
    {
        var silo = await StartSiloAsync();
        await StartRunsAsync(Client(silo));
        var caller = new Thread(() =>
        {
            SynchronizationContext.SetSynchronizationContext(new Nowhere());
            for (var n = 0; n < 1100; n++) // More than a silo takes instance numbers for at once.
            {
                _ = Client(silo).Get<ICounting>($"nowhere-{n}").StartAsync(1, cancellation: Cancel);
            }
        });
        caller.Start();
        Assert.True(caller.Join(TimeSpan.FromSeconds(30)));
        for (var n = 0; n < 20; n++)
        {
            await Client(silo).Get<ICounting>($"after-{n}").StartAsync(1, cancellation: Cancel).WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        }
    }

    private sealed class Nowhere : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
        }
    }

    [Fact]
    public async Task While_Postgres_is_away_a_grain_is_placed_all_the_same()
    {
        await using var proxy = new CutProxy(_database.ConnectionString);
        await using var engine = await TestEngine.StartAsync(proxy.ConnectionString, actors => actors.AddWorkflow<Counting>());
        var (here, there) = (SiloAddress.FromParsableString("127.0.0.1:1@1"), SiloAddress.FromParsableString("127.0.0.1:2@2"));
        var starts = new StartsHere();
        var director = new WithItsRunDirector(engine.Engine, starts, UnreachableTests.Fake<IPlacementDirector>(_ => Task.FromResult(here)));
        var context = UnreachableTests.Fake<IPlacementContext>(
            method => method.Name == nameof(IPlacementContext.GetCompatibleSilos) ? new[] { here, there } : here);
        await proxy.DisposeAsync();
        var target = new PlacementTarget(GrainId.Create("workflow", "default/c-1"), [], default, 0);
        Assert.Equal(here, await director.OnAddActivation(new WithItsRun(), target, context));
        Assert.True(starts.Next());
    }

    [Fact]
    public void Starts_stay_as_long_as_every_sixteenth_is_placed_here()
    {
        var starts = new StartsHere();
        Assert.False(starts.Next());
        starts.Placed(here: true);
        Assert.Equal(15, Enumerable.Range(0, 16).Count(_ => starts.Next()));
        starts.Placed(here: false);
        Assert.DoesNotContain(Enumerable.Range(0, 16), _ => starts.Next());
    }

    private static IWorkflowClient Client(IServiceProvider silo) => silo.GetRequiredService<IWorkflowClient>();

    private static IManagementGrain Management(IServiceProvider silo) =>
        silo.GetRequiredService<IGrainFactory>().GetGrain<IManagementGrain>(0);

    private static async Task<int> GrainsAsync(IServiceProvider silo) =>
        (await Management(silo).GetSimpleGrainStatistics()).Where(
            grain => grain.GrainType.Contains(nameof(WorkflowGrain), StringComparison.Ordinal)).Sum(grain => grain.ActivationCount);

    private static async Task UntilAsync(Func<Task<bool>> look)
    {
        for (var watch = System.Diagnostics.Stopwatch.StartNew(); !await look();)
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(30));
            await Task.Delay(20, Cancel);
        }
    }

    private static async Task<List<IWorkflowHandle<ICounting>>> StartRunsAsync(IWorkflowClient caller)
    {
        var handles = Enumerable.Range(0, Runs).Select(n => caller.Get<ICounting>($"c-{n}")).ToList();
        foreach (var handle in handles)
        {
            Assert.True((await handle.StartAsync(1, cancellation: Cancel)).Started);
        }

        return handles;
    }

    private async Task AllAnswerWhereTheyAreAsync(
        IWorkflowClient client, List<IWorkflowHandle<ICounting>> runs, Dictionary<string, Guid?> owners)
    {
        foreach (var id in runs.Select(run => run.Id.Id))
        {
            var handle = client.Get<ICounting>(id);
            Assert.False((await handle.StartAsync(1, cancellation: Cancel)).Started);
            await handle.SignalAsync(w => w.Add(1), cancellation: Cancel);
            Assert.Equal(2, await handle.QueryAsync(w => w.Total(), Cancel));
        }

        Assert.Equal(owners, await OwnersAsync());
        Assert.Equal(1, await EpochMaxAsync());
    }

    private async Task<int> EpochMaxAsync()
    {
        await using var command = _database.DataSource.CreateCommand("select max(epoch) from actors.runs");
        return (int)(await command.ExecuteScalarAsync(Cancel))!;
    }

    private async Task<Dictionary<string, Guid?>> OwnersAsync()
    {
        var owners = new Dictionary<string, Guid?>();
        await using var command = _database.DataSource.CreateCommand("select id, owner from actors.runs where status = 0");
        await using var reader = await command.ExecuteReaderAsync(Cancel);
        while (await reader.ReadAsync(Cancel))
        {
            owners.Add(reader.GetString(0), await reader.IsDBNullAsync(1, Cancel) ? null : reader.GetGuid(1));
        }

        return owners;
    }

    private async Task<IServiceProvider> StartSiloAsync()
    {
        await StartAsync(1);
        return _cluster!.Silo(0);
    }

    private async Task<(IServiceProvider One, IServiceProvider Other)> StartTwoAsync()
    {
        await StartAsync(2);
        return (_cluster!.Silo(0), _cluster.Silo(1));
    }

    private async Task StartAsync(short silos) => _cluster = await InProcessCluster.StartAsync(_database.ConnectionString, silos, actors =>
    {
        actors.AddWorkflow<Counting>();
        actors.Execution.RestAfter = TimeSpan.FromMinutes(5);
    });
}
