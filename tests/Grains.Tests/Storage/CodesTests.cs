using System.Text;
using Actors.Calling;
using Actors.Grains.Tests.Execution;
using Actors.Storage;
using Actors.Support;
using Actors.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Xunit;

namespace Actors.Grains.Tests.Storage;

/// <summary>A stored name belongs to one contract: nobody runs, starts or joins under a name that is another's.</summary>
public sealed class CodesTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    [Fact]
    public async Task A_silo_with_another_contract_of_a_stored_name_does_not_join()
    {
        await using var own = await TestDatabase.CreateAsync();
        await using (var sales = await TestEngine.StartAsync(own.ConnectionString, actors => actors.AddWorkflow<Sales.Import>()))
        {
            await sales.StartWorkflowAsync("left behind", "Import", 1);
        }

        var error = await Assert.ThrowsAsync<WorkflowNameTakenException>(
            () => TestEngine.StartAsync(own.ConnectionString, actors => actors.AddWorkflow<Stock.Import>()));
        Assert.Contains("'Import' belongs to the contract Actors.Grains.Tests.Storage.Sales+Import", error.Message,
            StringComparison.Ordinal);
        Assert.Contains("Stock+Import", error.Message, StringComparison.Ordinal);
        Assert.Contains("[WorkflowName]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_contract_that_moved_and_names_its_earlier_name_is_the_same()
    {
        await using var own = await TestDatabase.CreateAsync();
        await using var before = await TestEngine.StartAsync(own.ConnectionString, actors => actors.AddWorkflow<Sales.Import>());
        await before.StartWorkflowAsync("moved", "Import", 20);
        await before.DieAsync();
        await using var after = await TestEngine.StartAsync(own.ConnectionString, actors => actors.AddWorkflow<Warehouse.Import>());
        await after.SendAsync("moved", "go", 3);
        Assert.Equal(23, await after.ResultAsync<int>("moved"));
        await using var rolledBack = await TestEngine.StartAsync(own.ConnectionString, actors => actors.AddWorkflow<Sales.Import>());
    }

    [Fact]
    public async Task Earlier_and_later_names_are_the_same_whichever_silo_joins_first()
    {
        await using var connections = Connect();
        await Codes(connections, new DeclaredCode("Either way", ["New", "Old"], "")).RegisterAsync();
        await Codes(connections, new DeclaredCode("Either way", ["Old"], "")).RegisterAsync();
        await Codes(connections, new DeclaredCode("Either way", ["Newest", "New"], "")).RegisterAsync();
        await Assert.ThrowsAsync<WorkflowNameTakenException>(
            () => Codes(connections, new DeclaredCode("Either way", ["Strange"], "")).RegisterAsync());
    }

    [Fact]
    public async Task A_caller_with_another_contract_of_a_stored_name_is_refused_by_call_and_in_its_transaction()
    {
        await using var own = await TestDatabase.CreateAsync();
        await using var sales = await TestEngine.StartAsync(own.ConnectionString, actors => actors.AddWorkflow<Sales.Import>());
        var payload = new Payload("1"u8.ToArray());
        var request = new StartCall("Import", payload, StartPolicy.Attach, null) { Contracts = ["Elsewhere.IImport"] };
        await Assert.ThrowsAsync<WorkflowTypeMismatchException>(() => sales.Engine.StartAsync(new WorkflowId("foreign"), request));
        Assert.True((await sales.Engine.StartAsync(
            new WorkflowId("moved caller"), request with { Contracts = ["New.IImport", typeof(Sales.Import).FullName!] })).Started);

        var moved = new WorkflowId("moved caller");
        await Assert.ThrowsAsync<WorkflowTypeMismatchException>(
            () => sales.Engine.SignalAsync(moved, new SignalCall("go", true, payload, "m") { Contracts = ["Elsewhere.IImport"] }));
        await Assert.ThrowsAsync<WorkflowTypeMismatchException>(
            () => sales.Engine.QueryAsync(moved, new QueryCall("Count", payload) { Contracts = ["Elsewhere.IImport"] }));
        await Assert.ThrowsAsync<WorkflowTypeMismatchException>(
            () => sales.Engine.ResultAsync(
                moved, new ResultCall("Import") { Limit = TimeSpan.FromSeconds(1), Contracts = ["Elsewhere.IImport"] }));

        var client = new WorkflowClient(null!, new PayloadSerializer(), TimeSpan.FromSeconds(1));
        await using var connection = await own.DataSource.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<WorkflowTypeMismatchException>(
            () => client.StartManyAsync<IImport,
            int>([KeyValuePair.Create("many", 1)], transaction, cancellation: TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<WorkflowTypeMismatchException>(
            () => client.Get<IImport>("foreign").StartAsync(1, transaction, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_silo_that_lacks_the_type_refuses_the_signal_of_another_contract_too()
    {
        await using var own = await TestDatabase.CreateAsync();
        await using var sales = await TestEngine.StartAsync(own.ConnectionString, actors => actors.AddWorkflow<Sales.Import>());
        await sales.StartWorkflowAsync("mailed", "Import", 20);
        await sales.Engine.ReleaseAsync(new WorkflowId("mailed"));
        await using var lacking = await TestEngine.StartAsync(own.ConnectionString, actors => actors.AddWorkflow<Cluster.Counting>());
        SignalCall Go(string value, string contract) =>
            new("go", true, new Payload(Encoding.UTF8.GetBytes(value)), value) { Contracts = [contract] };

        var error = await Assert.ThrowsAsync<WorkflowTypeMismatchException>(
            () => lacking.Engine.SignalAsync(new WorkflowId("mailed"), Go("100", "Elsewhere.IImport")));
        Assert.Contains("Elsewhere.IImport", error.Message, StringComparison.Ordinal);
        await lacking.Engine.SignalAsync(new WorkflowId("mailed"), Go("3", typeof(Sales.Import).FullName!));
        Assert.Equal(23, await sales.ResultAsync<int>("mailed"));
    }

    [Fact]
    public async Task A_name_that_SQL_alone_has_named_belongs_to_the_first_silo_that_joins()
    {
        var refused = await Assert.ThrowsAsync<PostgresException>(
            () => database.ExecuteAsync("select actors.start_workflow('default', 'from SQL', 'Named', '1')"));
        Assert.Equal("AC006", refused.SqlState);
        Assert.Contains("select * from actors.register_type('Named')", refused.MessageText, StringComparison.Ordinal);
        Assert.True(await database.ScalarAsync<bool>("select registered from actors.register_type('Named')"));
        Assert.False(await database.ScalarAsync<bool>("select registered from actors.register_type('Named')"));
        await database.ExecuteAsync("select actors.start_workflow('default', 'from SQL', 'Named', '1')");
        await using var connections = Connect();
        await Codes(connections, new DeclaredCode("Named", ["A.INamed"], "")).RegisterAsync();
        await Assert.ThrowsAsync<WorkflowNameTakenException>(
            () => Codes(connections, new DeclaredCode("Named", ["B.INamed"], "")).RegisterAsync());
        Assert.Equal("A.INamed", await database.ScalarAsync<string>("select contracts[1] from actors.codes where type = 'Named'"));
    }

    [Fact]
    public async Task Of_silos_that_bring_a_new_name_at_once_one_contract_has_it()
    {
        await using var connections = Connect();
        for (var round = 0; round < 20; round++)
        {
            var outcomes = await Task.WhenAll(Enumerable.Range(0, 4).Select(async i =>
            {
                try
                {
                    await Codes(connections, new DeclaredCode($"Raced {round}", [$"Contract {i % 2}"], "")).RegisterAsync();
                    return $"Contract {i % 2}";
                }
                catch (WorkflowNameTakenException)
                {
                    return null;
                }
            }));
            Assert.Equal(2, outcomes.Count(outcome => outcome is not null));
            Assert.Single(outcomes.Where(outcome => outcome is not null).Distinct());
        }
    }

    [Fact]
    public async Task Another_shape_joins_and_a_name_waits_for_the_transaction_that_brings_it()
    {
        await using var connections = Connect();
        await using var caller = await database.DataSource.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var transaction = await NameAsync(caller, "Awaited");

        var joining = Codes(connections, new DeclaredCode("Awaited", ["A.IAwaited"], "old")).RegisterAsync();
        await Store.UntilBlockedAsync(database.DataSource, "actors engine %");
        await transaction.RollbackAsync(TestContext.Current.CancellationToken);
        await joining;
        await Codes(connections, new DeclaredCode("Awaited", ["A.IAwaited"], "new")).RegisterAsync();
        Assert.Equal("new", await database.ScalarAsync<string>("select shape from actors.codes where type = 'Awaited'"));
    }

    [Fact]
    public async Task A_start_that_names_a_contract_changes_no_type_and_waits_for_none()
    {
        await database.ExecuteAsync("select actors.register_type('Callers')");
        await using var caller = await database.DataSource.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var transaction = await caller.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using var start = new NpgsqlCommand(
            "select actors.start_workflow('default', 'theirs', 'Callers', '1', contracts => array['Sales.ICallers'])", caller, transaction);
        await start.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        await using var connections = Connect();
        await Codes(connections, new DeclaredCode("Callers", ["Stock.ICallers"], "")).RegisterAsync().WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task A_start_that_waits_for_a_name_can_be_stopped()
    {
        await using var connections = Connect();
        await using var caller = await database.DataSource.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var transaction = await NameAsync(caller, "Held");

        using var stop = new CancellationTokenSource();
        var joining = Codes(connections, new DeclaredCode("Held", ["A.IHeld"], "")).RegisterAsync(stop.Token);
        await Store.UntilBlockedAsync(database.DataSource, "actors engine %");
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => joining.WaitAsync(TimeSpan.FromSeconds(20)));
    }

    /// <summary>A transaction that names a type for the first time, and stays open.</summary>
    private static async Task<NpgsqlTransaction> NameAsync(NpgsqlConnection caller, string type)
    {
        var transaction = await caller.BeginTransactionAsync(TestContext.Current.CancellationToken);
        await using var start = new NpgsqlCommand(
            $"select actors.register_type('{type}')", caller, transaction);
        await start.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        return transaction;
    }

    private EngineDatabase Connect() => new(database.ConnectionString, Guid.NewGuid(), 2, TimeSpan.FromMinutes(1), new StatementProbe());

    private static Codes Codes(EngineDatabase connections, params DeclaredCode[] declared) =>
        new(connections, declared, NullLogger<Codes>.Instance);
}

public interface IImport : IWorkflow<int, int>;

internal static class Sales
{
    internal sealed class Import : Adds;
}

internal static class Stock
{
    internal sealed class Import : Adds;
}

internal static class Warehouse
{
    [WorkflowName("Import", Formerly = ["Actors.Grains.Tests.Storage.Sales+Import"])]
    internal sealed class Import : Adds;
}

internal abstract class Adds : Workflow<int, int>
{
    protected override async Task<int> RunAsync(int input) => input + await Receive<int>("go");
}
