using System.Net.Http.Json;

namespace Actors.Snippets;

/// <summary>A sink of your own, for a broker that takes many messages at once and answers for each: <c>Outbox.Add("broker", services =>
/// new BrokerSink(services.GetRequiredService&lt;HttpClient&gt;()), "*")</c>.</summary>
public sealed class BrokerSink(HttpClient broker) : IOutboxSink
{
    public int BatchSizeMax => 100;

    public async Task<IReadOnlyList<DeliveryOutcome>> DeliverAsync(IReadOnlyList<OutboxMessage> messages, CancellationToken cancellation)
    {
        var sent = messages.Select(message => new Sent(message.Id, message.Topic, message.Key, Convert.ToBase64String(message.Json.Span)));
        using var answer = await broker.PostAsJsonAsync("publish", sent, cancellation);
        answer.EnsureSuccessStatusCode(); // What it throws is a failed attempt of all of them.
        var refusals = await answer.Content.ReadFromJsonAsync<Dictionary<string, string>>(cancellation) ?? [];
        return [.. messages.Select(message => refusals.TryGetValue(message.Id, out var why)
            ? DeliveryOutcome.Failed(new OutboxDeliveryException(why)) : DeliveryOutcome.Delivered)];
    }

    private sealed record Sent(string Id, string Topic, string Key, string Body);
}
