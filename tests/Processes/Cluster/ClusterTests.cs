using System.Diagnostics;
using Actors.Support;
using Actors.TestSilo;
using Npgsql;
using Xunit;

namespace Actors.Processes.Cluster;

/// <summary>Three silo processes, an outside client, and what is done to them.</summary>
public sealed class ClusterTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_killed_silo_s_workflows_go_on_elsewhere()
    {
        await using var rig = await ClusterRig.StartAsync(3);
        var handles = await StartTransfersAsync(rig, 60, 20);
        await rig.UntilAsync("select count(*) > 100 from transfers");
        var owner = await rig.OwnerOfAsync("t-0");
        var watch = Stopwatch.StartNew();
        await owner.KillAsync();
        await rig.UntilAsync(
            "select not exists (select from actors.runs w join actors.silos s on s.id = w.owner where w.status = 0 and s.dead_at is "
            + "not null) and exists (select from actors.silos where dead_at is not null)");
        output.WriteLine($"taken over after {watch.ElapsedMilliseconds} ms");
        await FinishAsync(rig, handles, 20);
    }

    [Fact]
    [OnlyInAll]
    public async Task A_killed_silo_s_workflows_go_on_elsewhere_by_the_reminder_alone()
    {
        await using var rig = await ClusterRig.StartAsync(1);
        await StartTransfersAsync(rig, 30, 400);
        await rig.AddSilosAsync(2, watch: false);
        await rig.UntilAsync("select count(*) = 128 from actors.orleans_reminders");
        await rig.Silos[0].KillAsync();
        var watch = Stopwatch.StartNew();
        Assert.NotEqual(0, await rig.ScalarAsync<long>(
            "select count(*) from actors.runs w join actors.silos s on s.id = w.owner where w.status = 0 and s.name = 'silo-0'"));
        // The finest period of a reminder is a minute.
        await rig.UntilAsync("select count(*) = 30 from actors.runs where status = 1", TimeSpan.FromMinutes(4));
        output.WriteLine($"all finished after {watch.ElapsedMilliseconds} ms");
        Assert.Equal(30 * 400, await rig.ScalarAsync<long>("select count(*) from transfers"));
    }

    [OnlyInAll]
    [Fact]
    public async Task A_stopped_silo_hands_its_workflows_over_at_once()
    {
        await using var rig = await ClusterRig.StartAsync(3);
        var handles = await StartTransfersAsync(rig, 60, 20);
        await rig.UntilAsync("select count(*) > 100 from transfers");
        var owner = await rig.OwnerOfAsync("t-0");
        var watch = Stopwatch.StartNew();
        Assert.Equal(0, await owner.StopAsync());
        output.WriteLine($"stopped after {watch.ElapsedMilliseconds} ms");
        Assert.Equal(0, await rig.ScalarAsync<long>(
            "select count(*) from actors.runs w where w.owner is not null and not exists (select from actors.silos s where s.id = "
            + "w.owner)"));
        await FinishAsync(rig, handles, 20);
    }

    [OnlyInAll]
    [Fact]
    public async Task A_cluster_of_which_every_silo_was_killed_is_back_in_seconds()
    {
        await using var rig = await ClusterRig.StartAsync(3);
        var handles = await StartTransfersAsync(rig, 30, 10);
        await rig.UntilAsync("select count(*) > 30 from transfers");
        await Task.WhenAll(rig.Silos.Select(silo => silo.KillAsync()));
        var watch = Stopwatch.StartNew();
        await rig.RestartAsync();
        output.WriteLine($"all ready after {watch.ElapsedMilliseconds} ms");
        await FinishAsync(rig, handles, 10);
        output.WriteLine($"all finished after {watch.ElapsedMilliseconds} ms");
    }

    [OnlyInAll]
    [Fact]
    public async Task A_silo_on_new_addresses_replaces_a_cluster_that_was_killed()
    {
        await using var rig = await ClusterRig.StartAsync(2);
        await StartTransfersAsync(rig, 10, 10);
        await Task.WhenAll(rig.Silos.Select(silo => silo.KillAsync()));
        var watch = Stopwatch.StartNew();
        await rig.AddSilosAsync(1);
        output.WriteLine($"ready after {watch.ElapsedMilliseconds} ms");
        await rig.UntilAsync("select count(*) = 100 from transfers");
    }

    [Fact]
    public async Task A_frozen_silo_that_wakes_up_commits_nothing()
    {
        await using var rig = await ClusterRig.StartAsync(3);
        await using var gate = await rig.Database.DataSource.OpenConnectionAsync();
        await using (var hold = new NpgsqlCommand("select pg_advisory_lock(42)", gate))
        {
            await hold.ExecuteNonQueryAsync();
        }

        var handles = Enumerable.Range(0, 9).Select(i => rig.Workflows.Get<IHeld>($"h-{i}")).ToList();
        await Task.WhenAll(handles.Select(handle => handle.StartAsync(42)));
        await rig.UntilAsync(
            "select count(*) = 9 from pg_locks join pg_database d on d.oid = database where datname = current_database() and locktype = "
            + "'advisory' and objid = 42 and not granted");
        var frozen = await rig.OwnerOfAsync("h-0");
        var owner = await rig.ScalarAsync<Guid>("select owner from actors.runs where id = 'h-0'");
        var held = await rig.ScalarAsync<long>($"select count(*) from actors.runs where owner = '{owner}'");
        frozen.Freeze();
        var watch = Stopwatch.StartNew();
        await rig.UntilAsync($"select not exists (select from actors.runs where owner = '{owner}')");
        output.WriteLine($"{held} workflows of the frozen silo had new owners after {watch.ElapsedMilliseconds} ms");
        await using (var release = new NpgsqlCommand("select pg_advisory_unlock(42)", gate))
        {
            await release.ExecuteNonQueryAsync();
        }

        Assert.All(await Task.WhenAll(handles.Select(handle => handle.ResultAsync())), result => Assert.Equal(42, result));
        var before = await rig.ScalarAsync<string>(Everything);
        frozen.Thaw();
        await frozen.ExitedAsync(); // The others declared it dead: it learns that and ends.
        Assert.Equal(before, await rig.ScalarAsync<string>(Everything));
        Assert.Equal(9, await rig.ScalarAsync<long>("select count(*) from held"));
    }

    [Fact]
    [OnlyInAll]
    public async Task A_silo_that_alone_cannot_reach_Postgres_is_declared_dead_and_its_workflows_go_on_elsewhere()
    {
        CutProxy proxy = null!;
        await using var rig = await ClusterRig.StartAsync(
            3, through: (number, server) => number == 2 ? (proxy = new CutProxy(server)).ConnectionString : server);
        await using var _ = proxy;
        var handles = await StartTransfersAsync(rig, 60, 50);
        var cut = await rig.ScalarAsync<Guid>("select id from actors.silos where name = 'silo-2'");
        await rig.UntilAsync($"select exists (select from actors.runs where owner = '{cut}')");
        proxy.Vanish();
        var watch = Stopwatch.StartNew();
        await rig.UntilAsync($"select not exists (select from actors.runs where owner = '{cut}')");
        output.WriteLine($"taken over after {watch.ElapsedMilliseconds} ms");
        await FinishAsync(rig, handles, 50);
        proxy.Speak();
        await rig.Silos[2].ExitedAsync(); // It learns that it was declared dead.
    }

    [Fact]
    [OnlyInAll]
    public async Task An_outage_of_Postgres_for_all_silos_ends_no_process_and_declares_nobody_dead()
    {
        CutProxy proxy = null!;
        await using var rig = await ClusterRig.StartAsync(2, through: (_, server) => (proxy ??= new CutProxy(server)).ConnectionString);
        await using var _ = proxy;
        var handles = await StartTransfersAsync(rig, 30, 100);
        await rig.UntilAsync("select count(*) > 100 from transfers");
        proxy.Vanish();
        await Task.Delay(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        proxy.Speak();
        var watch = Stopwatch.StartNew();
        await FinishAsync(rig, handles, 100);
        output.WriteLine($"all finished after {watch.ElapsedMilliseconds} ms");
        Assert.Equal(2L, await rig.ScalarAsync<long>("select count(*) from actors.silos where dead_at is null"));
        Assert.All(rig.Silos, silo => Assert.False(silo.HasExited));
    }

    [Fact]
    [OnlyInAll]
    public async Task Many_large_runs_of_a_dead_silo_go_on_in_one_whose_heap_holds_few_of_them()
    {
        await using var rig = await ClusterRig.StartAsync(1);
        var handles = Enumerable.Range(0, 150).Select(i => rig.Workflows.Get<IBulky>($"b-{i}")).ToList();
        await Task.WhenAll(handles.Select(handle => handle.StartAsync(30)));
        await rig.UntilAsync(
            "select count(*) > 100 from (select instance from actors.journal group by 1 having count(*) > 30) r", TimeSpan.FromMinutes(2));
        await rig.Silos[0].KillAsync();
        var watch = Stopwatch.StartNew();
        await rig.AddSilosAsync(1, heapLimitMiB: 200); // What it has to load is more than twice that.
        await rig.UntilAsync("select count(*) = 150 from actors.runs where status = 1", TimeSpan.FromMinutes(3));
        output.WriteLine($"all finished after {watch.ElapsedMilliseconds} ms, peak {rig.Silos[1].PeakMiB} MiB");
        Assert.False(rig.Silos[1].HasExited);
    }

    [Fact]
    public async Task A_silo_whose_heap_is_full_ends_and_its_workflows_go_on_after_it()
    {
        await using var rig = await ClusterRig.StartAsync(1, heapLimitMiB: 200);
        var (hoard, waiting) = (rig.Workflows.Get<IHoard>("h-1"), rig.Workflows.Get<IWaiting>("w-1"));
        await waiting.StartAsync(1);
        try
        {
            await hoard.StartAsync(300);
        }
        catch (WorkflowUnavailableException)
        {
            // The silo ended in the step before it had answered the start, whose commit came first.
        }

        await rig.Silos[0].ExitedAsync(); // Though the step takes each OutOfMemoryException for itself.
        Assert.Contains("The heap is full", rig.Silos[0].Output);
        Assert.Contains(rig.Silos[0].ExitCode, (int[])[128 + 6, 128 + 11]); // SIGABRT; where that does not end it, the runtime's SIGSEGV.
        await rig.RestartAsync();
        await waiting.SignalAsync(w => w.Go(7));
        Assert.Equal(8, await waiting.ResultAsync());
        Assert.Equal(300, await hoard.ResultAsync());
    }

    [Fact]
    public async Task A_single_array_that_is_too_large_is_its_asker_s_affair()
    {
        await using var rig = await ClusterRig.StartAsync(1, heapLimitMiB: 200);
        var hoard = rig.Workflows.Get<IHoard>("h-1");
        await hoard.StartAsync(-2000);
        Assert.Equal(0, await hoard.ResultAsync());
        Assert.False(rig.Silos[0].HasExited);
    }

    private const string Everything =
        """
        select (select string_agg(w::text, E'\n' order by instance) from (select instance, status, position, epoch, ended_at from actors.runs) w)
            || (select string_agg(j::text, E'\n' order by instance, position) from actors.journal j)
            || (select string_agg(h::text, E'\n' order by workflow) from held h)
        """;

    private const string Standing =
        """
        select 'Not ended after a minute: ' || coalesce((select string_agg(w.id || ' status ' || w.status || ' position ' || w.position || ' epoch ' || w.epoch
                || ' owner ' || coalesce(w.owner::text, '-') || ' last ' || (select j.kind || ' ' || j.at from actors.journal j where j.instance = w.instance order by j.position desc limit 1), E'\n')
            from actors.runs w where w.status <> 1), '') || E'\nnow ' || now()
            || E'\nbackends ' || (select string_agg(coalesce(a.application_name, '') || ' ' || coalesce(a.state, '') || ' ' || coalesce(a.wait_event, '') || ' ' || left(a.query, 60), E'\n')
                from pg_stat_activity a where a.datname = current_database() and a.state <> 'idle')
        """;

    private static async Task<List<IWorkflowHandle<ITransfers>>> StartTransfersAsync(ClusterRig rig, int count, int transfers)
    {
        var handles = Enumerable.Range(0, count).Select(i => rig.Workflows.Get<ITransfers>($"t-{i}")).ToList();
        await Task.WhenAll(handles.Select(StartAsync));
        return handles;

        async Task StartAsync(IWorkflowHandle<ITransfers> handle)
        {
            for (var left = 10; ; left--)
            {
                try
                {
                    await handle.StartAsync(transfers);
                    return;
                }
                catch (WorkflowUnavailableException) when (left > 0)
                {
                    // As callers do.
                }
            }
        }
    }

    private static async Task FinishAsync(ClusterRig rig, List<IWorkflowHandle<ITransfers>> handles, int transfers)
    {
        var waiting = Task.WhenAll(handles.Select(handle => handle.ResultAsync()));
        if (await Task.WhenAny(waiting, Task.Delay(TimeSpan.FromSeconds(60))) != waiting)
        {
            Assert.Fail(await rig.ScalarAsync<string>(Standing));
        }

        var results = await waiting;
        Assert.All(results, done => Assert.Equal(transfers, done));
        Assert.Equal(handles.Count * transfers, await rig.ScalarAsync<long>("select count(*) from transfers"));
        Assert.Equal(10_000, await rig.ScalarAsync<long>("select sum(balance) from accounts"));
    }
}
