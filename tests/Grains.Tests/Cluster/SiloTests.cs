using System.Net;
using System.Net.Sockets;
using Actors.Grains.Tests.Execution;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Actors.Grains.Tests.Cluster;

/// <summary>One silo in this process, as a host composes it.</summary>
public sealed class SiloTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task A_silo_runs_workflows_for_callers_inside_it()
    {
        using var host = Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
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
        using var host = Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
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

    private IHost Build()
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.AddActors(database.ConnectionString, actors =>
        {
            actors.AddWorkflow<Counting>();
            (actors.Cluster.SiloPort, actors.Cluster.GatewayPort) = (FreePort(), FreePort());
        });
        return builder.Build();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
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

    public int Total() => _total;

    protected override async Task<int> RunAsync(int input)
    {
        _total += input;
        await WaitUntil(() => _total >= 100);
        return _total;
    }
}
