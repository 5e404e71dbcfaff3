using Actors.Support;
using Actors.Wire;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Actors.Grains.Tests.Execution;

/// <summary>A signal or query gets a further parameter while runs, their mail and their callers know the old one, and the other way
/// round.</summary>
[EachPostgres]
public sealed class ChangedContractTests(TestDatabase database) : IClassFixture<TestDatabase>
{
    private const string Name = "Shipping";
    private const string Defaults = "(-,Red,Slow,00000000-0000-0000-0000-000000000000,1.5,0)";

    private static string[] Log(LogLines lines) =>
        [.. lines.Of($"Actors.Workflow.{Name}").Where(line => line.Contains("left out", StringComparison.Ordinal))];

    [Fact]
    public async Task Arguments_that_are_missing_take_their_defaults_live_in_replay_and_from_SQL()
    {
        await using var old = await TestEngine.StartAsync(database.ConnectionString, builder => builder.AddWorkflow<OldShipping>());
        await using var fresh = await TestEngine.StartAsync(database.ConnectionString, builder => builder.AddWorkflow<Shipping>());
        await old.StartWorkflowAsync("longer", Name, 4);
        await old.SignalAsync("longer", "Ship", ["a"]);
        await old.RestAsync("longer");
        // Replayed for the query, which an old caller asks.
        Assert.Equal($"a{Defaults}", await fresh.QueryAsync<string>("longer", "Where"));
        await fresh.SignalAsync("longer", "Ship", ["b"]);
        await database.ExecuteAsync("select actors.send('default', 'longer', 'by SQL', 'Ship', '[\"c\"]')");
        await fresh.WakeAsync("longer");
        for (var watch = System.Diagnostics.Stopwatch.StartNew(); await database.CountAsync("inbox", "longer") > 0;)
        {
            // What comes by another door may overtake it.
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), "The message by SQL was not taken.");
        }

        await fresh.SignalAsync("longer", "Ship", ["d", "note", "Blue", "Fast", Guid.Empty, 2, new[] { "x", "y" }]);

        Assert.Equal($"a{Defaults} b{Defaults} c{Defaults} d(note,Blue,Fast,{Guid.Empty},2,2)", await fresh.ResultAsync<string>("longer"));
        Assert.Equal(0, await database.CountAsync("inbox", "longer"));
    }

    [Fact]
    public async Task Arguments_that_are_too_many_are_left_out_live_in_replay_and_from_SQL_and_that_is_said_once()
    {
        var lines = new LogLines();
        await using var old = await TestEngine.StartAsync(
            database.ConnectionString, builder => builder.AddWorkflow<OldShipping>(), logging => logging.AddProvider(lines));
        await using var fresh = await TestEngine.StartAsync(database.ConnectionString, builder => builder.AddWorkflow<Shipping>());
        await fresh.StartWorkflowAsync("shorter", Name, 3);
        await fresh.SignalAsync("shorter", "Ship", ["a", "secret"]);
        await fresh.RestAsync("shorter");
        Assert.Equal("a", await WhereAsync(old, "shorter", upper: false));
        await old.SignalAsync("shorter", "Ship", ["b", "secret", "Blue"]);
        await database.ExecuteAsync("select actors.send('default', 'shorter', 'by SQL', 'Ship', '[\"c\", \"secret\"]')");
        await old.WakeAsync("shorter");

        Assert.Equal("a b c", await old.ResultAsync<string>("shorter"));
        Assert.Equal(
            ["Workflow 'shorter' was called with 1 argument(s) more than Shipping.Ship takes here; they are left out. Said once: callers "
                + "know a later contract.",
                "Workflow 'shorter' was called with 1 argument(s) more than Shipping.Where takes here; they are left out. Said once: "
                    + "callers know a later contract."],
            Log(lines));
    }

    [Fact]
    public async Task An_argument_without_a_default_that_is_missing_is_a_clear_error_and_nothing_is_written()
    {
        await using var engine = await TestEngine.StartAsync(database.ConnectionString, builder => builder.AddWorkflow<Shipping>());
        await engine.StartWorkflowAsync("missing", Name, 1);
        var error = await Assert.ThrowsAsync<PayloadException>(() => engine.SignalAsync("missing", "Ship", []));
        Assert.Equal("Signal Ship of workflow 'missing': 0 arguments were given, and 'number' of Ship has no default.", error.Message);
        Assert.Single(await database.JournalAsync("missing"));
    }

    private static async Task<string> WhereAsync(TestEngine engine, string id, bool upper) => engine.Engine.Context.Payloads.Read<string>(
        await engine.Engine.QueryAsync(
            new WorkflowId(id), new QueryCall("Where", engine.Engine.Context.Payloads.Write(new[] { upper }, $"arguments"))), $"value");

    [Fact]
    public async Task A_message_of_a_topic_stays_one_when_a_later_contract_has_a_signal_of_its_name()
    {
        await using (var old = await TestEngine.StartAsync(database.ConnectionString, builder => builder.AddWorkflow<Orders>()))
        {
            await database.ExecuteAsync("""
                begin;
                select actors.start_workflow('default', 'topic', 'Ordering', '1');
                select actors.send('default', 'topic', 'm', 'Order', '"one"');
                commit;
                """);
            await old.WakeAsync("topic");
            await old.RestAsync("topic");
        }

        await using var fresh = await TestEngine.StartAsync(database.ConnectionString, builder => builder.AddWorkflow<OrdersWithSignal>());
        await fresh.SendAsync("topic", "end", "two");
        Assert.Equal("one two", await fresh.ResultAsync<string>("topic"));
        Assert.Equal(1, await database.ScalarAsync<int>(
            "select count(*) from actors.journal j join actors.runs w using (instance) where w.id = 'topic' and kind = 16"));
    }

    [WorkflowName("Ordering", Formerly = ["Actors.Grains.Tests.Execution.ChangedContractTests+IOrdersWithSignal"])]
    public interface IOrders : IWorkflow<int, string>;

    [WorkflowName("Ordering", Formerly = ["Actors.Grains.Tests.Execution.ChangedContractTests+IOrders"])]
    public interface IOrdersWithSignal : IWorkflow<int, string>
    {
        [Signal]
        Task Order(string number);
    }

    public abstract class Ordered : Workflow<int, string>
    {
        protected override async Task<string> RunAsync(int input)
        {
            var order = await Receive<string>("Order");
            await Step("orders", _ => Task.CompletedTask);
            return $"{order} {await Receive<string>("end")}";
        }
    }

    public sealed class Orders : Ordered, IOrders;

    public sealed class OrdersWithSignal : Ordered, IOrdersWithSignal
    {
        public Task Order(string number) => throw new InvalidOperationException("It was a topic's.");
    }

    public enum Color
    {
        Red = 3,
        Blue,
    }

    [WorkflowName(Name, Formerly = ["Actors.Grains.Tests.Execution.ChangedContractTests+IShipping"])]
    public interface IOldShipping : IWorkflow<int, string>
    {
        [Signal]
        Task Ship(string number);

        [Query]
        string Where();
    }

    [WorkflowName(Name, Formerly = ["Actors.Grains.Tests.Execution.ChangedContractTests+IOldShipping"])]
    public interface IShipping : IWorkflow<int, string>
    {
        [Signal]
        Task Ship(
            string number, string? note = null, Color? color = Color.Red, TransportKind kind = TransportKind.Slow, Guid of = default,
            decimal weight = 1.5m, params string[] tags);

        [Query]
        string Where(bool upper = false);
    }

    public enum TransportKind
    {
        Fast,
        Slow,
    }

    public abstract class Shipped : Workflow<int, string>
    {
        protected List<string> Numbers { get; } = [];

        protected override async Task<string> RunAsync(int input)
        {
            await WaitUntil(() => Numbers.Count == input);
            return string.Join(" ", Numbers);
        }
    }

    public sealed class OldShipping : Shipped, IOldShipping
    {
        public Task Ship(string number)
        {
            Numbers.Add(number);
            return Task.CompletedTask;
        }

        public string Where() => string.Join(" ", Numbers);
    }

    public sealed class Shipping : Shipped, IShipping
    {
        public Task Ship(string number, string? note, Color? color, TransportKind kind, Guid of, decimal weight, params string[] tags)
        {
            Numbers.Add(FormattableString.Invariant($"{number}({note ?? "-"},{color},{kind},{of},{weight},{tags.Length})"));
            return Task.CompletedTask;
        }

        public string Where(bool upper) => upper ? string.Join(" ", Numbers).ToUpperInvariant() : string.Join(" ", Numbers);
    }
}
