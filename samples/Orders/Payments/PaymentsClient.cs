using System.Net;
using System.Net.Http.Json;

namespace Actors.Orders.Payments;

/// <summary>The payment service over HTTP. Makes one attempt a call: the workflow's steps repeat it.</summary>
public sealed class PaymentsClient(HttpClient http) : IPayments
{
    internal const string KeyHeader = "Idempotency-Key";

    public async Task ChargeAsync(Order order, string idempotencyKey, CancellationToken cancellation)
    {
        using var answer = await PostAsync("charges", new ChargeRequest(order.Id, order.Card, order.AmountCents), idempotencyKey, cancellation);
        if (answer.StatusCode == HttpStatusCode.PaymentRequired)
        {
            throw new CardDeclinedException($"Order {order.Id}: the payment service refuses the charge.");
        }

        answer.EnsureSuccessStatusCode();
    }

    public async Task RefundAsync(string order, string idempotencyKey, CancellationToken cancellation)
    {
        using var answer = await PostAsync("refunds", new RefundRequest(order), idempotencyKey, cancellation);
        answer.EnsureSuccessStatusCode();
    }

    private async Task<HttpResponseMessage> PostAsync<T>(string path, T body, string key, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        request.Headers.Add(KeyHeader, key);
        return await http.SendAsync(request, cancellation);
    }
}

internal sealed record ChargeRequest(string Order, string Card, int AmountCents);

internal sealed record RefundRequest(string Order);
