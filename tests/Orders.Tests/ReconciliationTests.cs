using Actors.Orders.Payments;
using Actors.Orders.Reconciling;
using Actors.Orders.Tables;
using Actors.Orders.Webhook;
using Actors.Support;
using Xunit;

namespace Actors.Orders.Tests;

/// <summary>Reconciliation finds each kind of damage, and nothing where there is none.</summary>
public sealed class ReconciliationTests : IAsyncLifetime
{
    private const string Run = "11111111-1111-1111-1111-111111111111";

    private static readonly Order[] Orders =
    [
        new("o-1", "c-1", [new("s-1", 2)], 500, "ok", true),
        new("o-2", "c-2", [new("s-1", 1), new("s-2", 1)], 700, "declined", true),
        new("o-3", "c-3", [new("s-2", 3)], 900, "ok", false),
    ];

    private readonly TestDatabase _database = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("actors-test-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string PaymentsFile => Path.Combine(_folder, "payments.jsonl");

    private string WebhookFile => Path.Combine(_folder, "webhook.jsonl");

    public async ValueTask InitializeAsync()
    {
        await _database.InitializeAsync();
        await OrderTables.CreateAsync(_database.DataSource, Cancellation);
        await OrderTables.StockAsync(_database.DataSource, ["s-1", "s-2"], 100, Cancellation);
        await ExecuteAsync("""
            insert into orders.orders (id, customer, amount_cents, state, ended_count)
            values ('o-1', 'c-1', 500, 'Completed', 1), ('o-2', 'c-2', 700, 'Declined', 1), ('o-3', 'c-3', 900, 'NotShipped', 1);
            insert into orders.items values ('o-1', 's-1', 2), ('o-2', 's-1', 1), ('o-2', 's-2', 1), ('o-3', 's-2', 3);
            update orders.stock set available = 98, sold = 2 where sku = 's-1';
            """);
        for (var number = 1; number <= 3; number++)
        {
            await ExecuteAsync($"""
                insert into actors.runs (instance, workflow, created_at, run, epoch, position, status, namespace, id, code)
                values ({number}, {number}, now(), '{Run[..^1]}{number}', 1, 2, 1, 'default', 'o-{number}', (select code from actors.register_type('OrderWorkflow')));
                insert into actors.journal (instance, at, position, seq, kind, messages, name)
                values ({number}, now(), 0, 0, 0, 0, 'OrderWorkflow'), ({number}, now(), 1, 1, 4, 1, 'place'), ({number}, now(), 2, 2, 4, 1, 'end');
                """);
        }

        await File.WriteAllLinesAsync(PaymentsFile, Payments, Cancellation);
        await File.WriteAllLinesAsync(WebhookFile, Deliveries, Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await _database.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task What_is_whole_reconciles()
    {
        var found = await ReadAsync();

        Assert.Equal("RECONCILED orders=3 completed=1 compensated=2 kills=4", found.Line(4));
    }

    [Theory]
    [InlineData("update orders.stock set available = 97 where sku = 's-1'", "stock s-1")]
    [InlineData("update orders.stock set available = 97, reserved = 1 where sku = 's-1'", "stock s-1")]
    [InlineData("update orders.stock set available = 96, sold = 4 where sku = 's-1'", "stock s-1")]
    [InlineData("update orders.orders set ended_count = 2 where id = 'o-1'", "order o-1 ended 2 times")]
    [InlineData("update orders.orders set ended_count = 0, state = 'Placed' where id = 'o-2'", "order o-2 has not ended")]
    [InlineData("delete from orders.items where order_id = 'o-3'; delete from orders.orders where id = 'o-3'",
        "order o-3 was never placed")]
    [InlineData("update orders.orders set state = 'Declined' where id = 'o-1'", "order o-1 ended as declined")]
    [InlineData("update orders.orders set amount_cents = 1 where id = 'o-2'", "order o-2 is in the database with other content")]
    [InlineData("update actors.runs set status = 2 where id = 'o-2'", "order o-2: its workflow has failed")]
    [InlineData("update actors.runs set status = 3 where id = 'o-2'", "order o-2: its workflow has been set aside")]
    [InlineData("update actors.journal set messages = 2 where instance = 1 and position = 2",
        "order o-1: 3 messages were committed, 2 came")]
    [InlineData("update actors.journal set messages = 0 where instance = 1 and position = 2", "was never committed")]
    [InlineData("insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key) values (1, 1, now(), 3, 'd', 't', 'k')",
        "outbox: 1 messages")]
    [InlineData("insert into actors.journal (instance, at, position, seq, kind, name) values (3, now(), 3, 0, 8, 'Ship'), (3, now(), 4, 3, "
        + "7, '')", "order o-3 was shipped in time")]
    public async Task Damage_in_the_database_is_found(string damage, string difference)
    {
        await ExecuteAsync(damage);

        Assert.Contains((await ReadAsync()).Differences, found => found.Contains(difference, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(0, "", "order o-1 (Completed) was charged 0 times")]
    [InlineData(0, """{"sequence":1,"kind":"Charged","key":"a","order":"o-1","amountCents":499}""", "order o-1 (Completed) was charged 1 times, 499")]
    [InlineData(1, """{"sequence":2,"kind":"Charged","key":"b","order":"o-2","amountCents":700}""", "order o-2 (Declined) was charged")]
    [InlineData(3, """{"sequence":4,"kind":"Charged","key":"x","order":"o-1","amountCents":500}""", "order o-1 (Completed) was charged 2 times")]
    [InlineData(3, "", "order o-3 (NotShipped) was charged 1 times, 900 cents in all, and 900 were kept")]
    [InlineData(1, """{"sequence":2,"kind":"Charged","key":"b","order":"o-9","amountCents":700}""", "order o-9 is known to the payment service alone")]
    public async Task Damage_at_the_payment_service_is_found(int line, string instead, string difference)
    {
        await ReplaceAsync(PaymentsFile, line, instead);

        Assert.Contains((await ReadAsync()).Differences, found => found.Contains(difference, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1, "", "order o-1: 2 messages were committed, 1 came")]
    [InlineData(0, "", "order o-1: message 2 came to the webhook after message 0")]
    [InlineData(0, $$"""{"sequence":1,"id":"{{Run}}:9","type":"t","subject":"o-1"}""", "was never committed")]
    [InlineData(0, $$"""{"sequence":1,"id":"{{Run}}:1","type":"t","subject":"o-2"}""", "was never committed")]
    public async Task Damage_at_the_webhook_is_found(int line, string instead, string difference)
    {
        await ReplaceAsync(WebhookFile, line, instead);

        Assert.Contains((await ReadAsync()).Differences, found => found.Contains(difference, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_lost_signal_is_found()
    {
        await ExecuteAsync("insert into actors.inbox (workflow, at, code, message_id, name) values (1, now(), 1, 'ship-o-1', 'Ship')");

        var found = await ReadAsync("o-1", "o-3");

        Assert.Equal(["order o-3: its acknowledged shipment is lost"], found.Differences);
    }

    private static string[] Payments =>
    [
        """{"sequence":1,"kind":"Charged","key":"a","order":"o-1","amountCents":500}""",
        """{"sequence":2,"kind":"Declined","key":"b","order":"o-2","amountCents":0}""",
        """{"sequence":3,"kind":"Charged","key":"c","order":"o-3","amountCents":900}""",
        """{"sequence":4,"kind":"Refunded","key":"d","order":"o-3","amountCents":900}""",
    ];

    private static string[] Deliveries => [.. from order in (int[])[1, 2, 3] from ordinal in (int[])[1, 2]
        select $$"""{"sequence":1,"id":"{{Run[..^1]}}{{order}}:{{ordinal}}","type":"t","subject":"o-{{order}}"}"""];

    private static async Task ReplaceAsync(string file, int line, string instead)
    {
        var lines = (await File.ReadAllLinesAsync(file, Cancellation)).ToList();
        lines[line] = instead;
        await File.WriteAllLinesAsync(file, lines.Where(text => text.Length > 0), Cancellation);
    }

    private Task<Reconciliation> ReadAsync(params string[] acknowledged) =>
        Reconciliation.ReadAsync(_database.DataSource, Orders, acknowledged, PaymentsFile, WebhookFile, Cancellation);

    private async Task ExecuteAsync(string sql)
    {
        await using var command = _database.DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Cancellation);
    }
}
