using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Actors.Orders.Input;

/// <summary>A line that is no order.</summary>
/// <param name="Number">From 1.</param>
public sealed record BadLine(int Number, string Reason);

/// <summary>Orders as JSON lines: every line is an order of the list or a bad line with its number and reason; empty lines are
/// neither.</summary>
public sealed record OrderFile(IReadOnlyList<Order> Orders, IReadOnlyList<BadLine> BadLines)
{
    private const int QuantityMax = 1_000;
    private const int ItemsMax = 100;
    private const int IdBytesMax = WorkflowId.IdBytesMax - 10;      // a later round of the job adds its number

    internal static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        NumberHandling = JsonNumberHandling.Strict,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    };

    /// <exception cref="IOException">The file is not there, or cannot be read.</exception>
    public static async Task<OrderFile> ReadAsync(string path, CancellationToken cancellation = default)
    {
        var orders = new List<Order>();
        var bad = new List<BadLine>();
        var lineOf = new Dictionary<string, int>(StringComparer.Ordinal);
        var number = 0;
        await foreach (var line in File.ReadLinesAsync(path, cancellation))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
            {
                continue;
            }

            var order = Parse(line, out var reason);
            if (order is not null && !lineOf.TryAdd(order.Id, number))
            {
                reason = $"order {order.Id} stands in line {lineOf[order.Id]} already";
            }

            if (reason is null)
            {
                orders.Add(order!);
            }
            else
            {
                bad.Add(new BadLine(number, reason));
            }
        }

        return new OrderFile(orders, bad);
    }

    private static Order? Parse(string line, out string? reason)
    {
        try
        {
            var order = JsonSerializer.Deserialize<Order>(line, Json) ?? throw new JsonException("null is no order");
            reason = Fault(order);
            return order;
        }
        catch (JsonException error)
        {
            reason = error.Path is { } path ? $"not an order, at {path}" : $"not an order: {error.Message}";
            return null;
        }
    }

    private static string? Fault(Order order)
    {
        try
        {
            _ = new WorkflowId(order.Id);
        }
        catch (InvalidWorkflowIdException error)
        {
            return $"id: {error.Message}";
        }

        return Encoding.UTF8.GetByteCount(order.Id) > IdBytesMax ? $"id: give at most {IdBytesMax} UTF-8 bytes"
            : order.Customer is not { Length: >= 1 and <= 200 } || order.Customer.Any(char.IsControl) ? "customer: give 1 to 200 characters"
            : order.Items is not { Count: >= 1 and <= ItemsMax } ? $"items: give 1 to {ItemsMax}"
            : order.Items.Any(item => item?.Sku is not { Length: >= 1 and <= 100 } || item.Sku.Any(char.IsControl)) ? "sku: give 1 to 100 characters"
            : order.Items.Any(item => item.Quantity is < 1 or > QuantityMax) ? $"quantity: give 1 to {QuantityMax}"
            : order.AmountCents < 1 ? "amountCents: give 1 or more"
            : order.Card is not ("ok" or "declined") ? "card: give ok or declined"
            : null;
    }
}
