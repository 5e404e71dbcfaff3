namespace Actors.Orders.Webhook;

/// <summary>The first delivery of one message: a line of the receiver's file, in the order in which they came.</summary>
/// <param name="Subject">The message's key: the order.</param>
internal sealed record Delivery(long Sequence, string Id, string Type, string Subject);

/// <summary>What the receiver got: each message id once, on the disk before the sender is told.</summary>
internal sealed class DeliveryLog : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly AppendOnlyFile<Delivery> _file;
    private readonly Dictionary<string, Task> _written = new(StringComparer.Ordinal);
    private readonly List<Delivery> _deliveries;

    public DeliveryLog(string path)
    {
        _file = new AppendOnlyFile<Delivery>(path, out _deliveries);
        _deliveries.ForEach(delivery => _written.Add(delivery.Id, Task.CompletedTask));
    }

    public Task TakeAsync(string id, string type, string subject)
    {
        lock (_lock)
        {
            if (!_written.TryGetValue(id, out var written))
            {
                var delivery = new Delivery(_deliveries.Count + 1, id, type, subject);
                _deliveries.Add(delivery);
                _written.Add(id, written = _file.AppendAsync(delivery));
            }

            return written;
        }
    }

    public List<Delivery> List()
    {
        lock (_lock)
        {
            return [.. _deliveries];
        }
    }

    public ValueTask DisposeAsync() => _file.DisposeAsync();
}
