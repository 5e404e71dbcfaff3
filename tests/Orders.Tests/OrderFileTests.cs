using Actors.Orders.Input;
using Actors.Support;
using Xunit;

namespace Actors.Orders.Tests;

public sealed class OrderFileTests : IDisposable
{
    private const string Good = """{"id":"o-1","customer":"c-7","items":[{"sku":"s-3","quantity":2}],"amountCents":1999,"card":"ok","ships":true}""";

    private readonly string _path = Path.GetTempFileName();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => File.Delete(_path);

    [Fact]
    public async Task The_issue_s_example_is_an_order()
    {
        var file = await ReadAsync(Good);

        var order = Assert.Single(file.Orders);
        Assert.Empty(file.BadLines);
        Assert.Equal(("o-1", "c-7", 1999, "ok", true), (order.Id, order.Customer, order.AmountCents, order.Card, order.Ships));
        Assert.Equal(new OrderItem("s-3", 2), Assert.Single(order.Items));
    }

    [Theory]
    [InlineData("""{"id":"o-2"}""")]
    [InlineData("not json")]
    [InlineData("null")]
    [InlineData("""{"id":"","customer":"c","items":[{"sku":"s","quantity":1}],"amountCents":1,"card":"ok","ships":true}""")]
    [InlineData("""{"id":"a\u0000b","customer":"c","items":[{"sku":"s","quantity":1}],"amountCents":1,"card":"ok","ships":true}""")]
    [InlineData("""{"id":"o-2","customer":"c","items":[],"amountCents":1,"card":"ok","ships":true}""")]
    [InlineData("""{"id":"o-2","customer":"c","items":[null],"amountCents":1,"card":"ok","ships":true}""")]
    [InlineData("""{"id":"o-2","customer":"c","items":[{"sku":"s","quantity":0}],"amountCents":1,"card":"ok","ships":true}""")]
    [InlineData("""{"id":"o-2","customer":"c","items":[{"sku":"s","quantity":1}],"amountCents":-1,"card":"ok","ships":true}""")]
    [InlineData("""{"id":"o-2","customer":"c","items":[{"sku":"s","quantity":1}],"amountCents":1,"card":"maybe","ships":true}""")]
    [InlineData("""{"id":"o-1","customer":"c","items":[{"sku":"s","quantity":1}],"amountCents":1,"card":"ok","ships":true}""")]
    public async Task A_bad_line_is_reported_with_its_number_and_skipped(string bad)
    {
        var file = await ReadAsync(Good, "", bad, Good.Replace("o-1", "o-3", StringComparison.Ordinal));

        Assert.Equal(["o-1", "o-3"], file.Orders.Select(order => order.Id));
        var line = Assert.Single(file.BadLines);
        Assert.Equal(3, line.Number);
        Assert.NotEmpty(line.Reason);
    }

    [Fact]
    public async Task The_sample_s_file_is_what_the_generator_makes_of_a_thousand_and_seed_one()
    {
        var file = Path.Combine(TestPostgres.RepositoryFolder, "samples", "Orders", "orders.jsonl");

        Assert.Equal(OrderGenerator.Lines(1_000, seed: 1), await File.ReadAllLinesAsync(file, Cancellation));
        var orders = await OrderFile.ReadAsync(file, Cancellation);
        Assert.Empty(orders.BadLines);
        Assert.InRange(orders.Orders.Count(order => order.Card == "declined"), 50, 150);
        Assert.InRange(orders.Orders.Count(order => !order.Ships), 25, 75);
    }

    private async Task<OrderFile> ReadAsync(params string[] lines)
    {
        await File.WriteAllLinesAsync(_path, lines, Cancellation);
        return await OrderFile.ReadAsync(_path, Cancellation);
    }
}
