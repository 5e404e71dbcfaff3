using System.Text.Json;

namespace Actors.Orders.Input;

/// <summary>
/// Makes orders up. The same count and seed give the same lines: <c>orders.jsonl</c> is 1,000 of seed 1.
/// About 10 % of the cards are declined, about 5 % of the orders never ship; 1 to 4 items of 50 skus.
/// </summary>
public static class OrderGenerator
{
    public static IEnumerable<Order> Orders(int count, int seed)
    {
        var random = new Random(seed);
        for (var number = 1; number <= count; number++)
        {
            var items = Enumerable.Range(0, random.Next(1, 5)).Select(_ => random.Next(1, 51)).Distinct()
                .Select(sku => new OrderItem($"s-{sku}", random.Next(1, 4))).ToList();
            yield return new Order(
                $"o-{number}",
                $"c-{random.Next(1, 201)}",
                items,
                items.Sum(item => item.Quantity) * random.Next(199, 4_999),
                random.Next(100) < 10 ? "declined" : "ok",
                random.Next(100) >= 5);
        }
    }

    public static IEnumerable<string> Lines(int count, int seed) => Orders(count, seed).Select(order => JsonSerializer.Serialize(order, OrderFile.Json));
}
