using Actors.Snippets;
using Actors.Support;
using Microsoft.Extensions.DependencyInjection;
using Shop;
using Xunit;

namespace Actors.Orders.Tests;

/// <summary>What the docs quote does what they say: Dapper, ADO.NET and EF Core inside transactions, messages by topic.</summary>
public sealed class SnippetsTests(TestDatabase database) : IClassFixture<TestDatabase>, IAsyncLifetime
{
    private TestEngine _engine = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await ExecuteAsync("""
            create table if not exists checkouts (id bigint generated always as identity, customer text, sku text, quantity int);
            create table if not exists accounts (id text primary key, cents bigint);
            insert into accounts values ('a', 100), ('b', 0) on conflict do nothing;
            create table if not exists "Invoices" ("Id" bigint generated always as identity, "Customer" text, "Cents" bigint);
            """);
        _engine = await TestEngine.StartAsync(database.ConnectionString, actors =>
        {
            actors.Services.AddSingleton<IPayments, FreePayments>();
            actors.Outbox.Add("all", new HandlerSink((_, _) => Task.CompletedTask), "*");
            actors.AddWorkflow<Checkout>().AddWorkflow<MoveMoney>().AddWorkflow<Bill>().AddWorkflow<Ballot>();
        });
    }

    public ValueTask DisposeAsync() => _engine.DisposeAsync();

    [Fact]
    public async Task Dapper_writes_the_order_with_its_message()
    {
        await _engine.StartWorkflowAsync("order-42", "Checkout", new Cart("c", "s", 1));
        await _engine.SignalAsync("order-42", "Ship", [new Tracking("T-1")]);

        var receipt = await _engine.ResultAsync<Receipt>("order-42");

        Assert.Equal("T-1", receipt.Tracking);
        Assert.Equal(1, await CountAsync($"select count(*) from checkouts where id = {receipt.Order}"));
        Assert.Equal(1, await CountAsync("select count(*) from actors.outbox where topic = 'orders'"));
    }

    [Fact]
    public async Task Ado_net_moves_money_once_and_a_throw_moves_none()
    {
        Assert.Equal(70, await _engine.RunAsync<Transfer, long>("move-1", "MoveMoney", new("a", "b", 30)));
        await Assert.ThrowsAsync<WorkflowFailedException>(() => _engine.RunAsync<Transfer, long>("move-2", "MoveMoney", new("a", "b", 71)));

        Assert.Equal(30, await CountAsync("select cents from accounts where id = 'b'"));
    }

    [Fact]
    public async Task Ef_core_saves_inside_the_workflow_s_transaction()
    {
        var id = await _engine.RunAsync<Invoice, long>("bill-1", "Bill", new Invoice { Customer = "c", Cents = 500 });

        Assert.Equal(1, await CountAsync($"""select count(*) from "Invoices" where "Id" = {id} and "Cents" = 500"""));
        Assert.Equal(1, await CountAsync("select count(*) from actors.outbox where topic = 'invoices'"));
    }

    [Fact]
    public async Task Messages_of_a_topic_are_taken_each_once()
    {
        await _engine.StartWorkflowAsync("budget", "Ballot", 3);
        foreach (var (voter, yes) in new[] { ("ann", true), ("ann", true), ("bob", false), ("eve", true) })
        {
            await _engine.SendAsync("budget", "votes", new Vote(voter, yes), messageId: voter);
        }

        Assert.True(await _engine.ResultAsync<bool>("budget"));
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        await command.ExecuteNonQueryAsync(Cancellation);
    }

    private async Task<long> CountAsync(string sql)
    {
        await using var command = database.DataSource.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync(Cancellation))!;
    }

    private sealed class FreePayments : IPayments
    {
        public Task<string> ChargeAsync(long order, string idempotencyKey, CancellationToken cancellation) =>
            Task.FromResult($"charge-{order}");

        public Task RefundAsync(string charge, string idempotencyKey, CancellationToken cancellation) => Task.CompletedTask;
    }
}
