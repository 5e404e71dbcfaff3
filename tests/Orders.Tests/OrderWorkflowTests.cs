using Actors.Orders.Payments;
using Actors.Orders.Tables;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Actors.Orders.Tests;

/// <summary>Every way that an order can go but the carrier's time-out, which the main job waits for.</summary>
public sealed class OrderWorkflowTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private readonly Till _till = new();
    private TestEngine _engine = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await OrderTables.CreateAsync(database.DataSource, Cancellation);
        await OrderTables.StockAsync(database.DataSource, ["s-1", "s-2"], 100, Cancellation);
        _engine = await TestEngine.StartAsync(database.ConnectionString, actors =>
        {
            actors.Services.AddSingleton<IPayments>(_till);
            actors.Outbox.Add("shop", new HandlerSink((_, _) => Task.CompletedTask), OrderTopics.Placed, OrderTopics.Completed,
                OrderTopics.Compensated);
            actors.AddWorkflow<OrderWorkflow>();
        });
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();

    [Fact]
    public async Task An_order_that_ships_is_sold()
    {
        await _engine.StartWorkflowAsync("sold", "OrderWorkflow", Order("sold"));
        await _engine.SignalAsync("sold", "Ship", [new Shipment("t-1")]);

        Assert.Equal(new OrderOutcome(OrderEnd.Completed, "t-1"), await _engine.ResultAsync<OrderOutcome>("sold"));
        await AssertEndAsync("sold", "Completed", messages: 2);
        Assert.Equal(["charge sold"], _till.Calls);
        Assert.Equal(OrderStage.Ended, await _engine.QueryAsync<OrderStage>("sold", "Stage"));
    }

    [Fact]
    public async Task A_declined_card_gives_the_goods_back_and_asks_for_no_refund()
    {
        Assert.Equal(OrderEnd.Declined, (await RunAsync(Order("declined") with { Card = "declined" })).End);
        await AssertEndAsync("declined", "Declined", messages: 2);
        Assert.Equal(["charge declined"], _till.Calls);
    }

    [Fact]
    public async Task A_charge_of_unknown_outcome_is_tried_with_one_key_then_refunded_with_another()
    {
        _till.Broken = true;

        Assert.Equal(OrderEnd.PaymentFailed, (await RunAsync(Order("broken"))).End);
        await AssertEndAsync("broken", "PaymentFailed", messages: 2);
        Assert.Equal(10, _till.Calls.Count(call => call == "charge broken"));
        Assert.Equal("refund broken", _till.Calls[^1]);
        Assert.Equal(2, _till.Keys.Distinct().Count());
    }

    [Fact]
    public async Task An_order_for_more_than_there_is_reserves_nothing()
    {
        var order = Order("much") with { Items = [new("s-1", 1), new("s-2", 60), new("s-2", 60)] };

        Assert.Equal(OrderEnd.OutOfStock, (await RunAsync(order)).End);
        await AssertEndAsync("much", "OutOfStock", messages: 1);
        Assert.Empty(_till.Calls);
    }

    private static Order Order(string id) => new(id, "c-1", [new("s-1", 2), new("s-2", 1)], 500, "ok", true);

    private Task<OrderOutcome> RunAsync(Order order) => _engine.RunAsync<Order, OrderOutcome>(order.Id, "OrderWorkflow", order);

    private async Task AssertEndAsync(string id, string state, int messages)
    {
        Assert.Equal(state, await ScalarAsync<string>($"select state from orders.orders where id = '{id}' and ended_count = 1"));
        Assert.Equal(0, await ScalarAsync<long>("select sum(reserved) from orders.stock"));
        Assert.Equal(0, await ScalarAsync<long>("select count(*) from orders.stock where available + sold <> stocked"));
        Assert.Equal(messages, await ScalarAsync<long>($"select count(*) from actors.outbox where key = '{id}'"));
    }

    private async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    private sealed class Till : IPayments
    {
        public bool Broken { get; set; }

        public List<string> Calls { get; } = [];

        public List<string> Keys { get; } = [];

        public Task ChargeAsync(Order order, string idempotencyKey, CancellationToken cancellation)
        {
            Called($"charge {order.Id}", idempotencyKey);
            return Broken ? throw new HttpRequestException("No answer.")
                : order.Card == "ok" ? Task.CompletedTask
                : throw new CardDeclinedException("No.");
        }

        public Task RefundAsync(string order, string idempotencyKey, CancellationToken cancellation)
        {
            Called($"refund {order}", idempotencyKey);
            return Task.CompletedTask;
        }

        private void Called(string call, string key)
        {
            Calls.Add(call);
            Keys.Add(key);
        }
    }
}
