using System.Net;
using System.Security.Cryptography;
using System.Text;
using Actors.Orders.Payments;
using Actors.Orders.Webhook;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Actors.Orders.Tests;

/// <summary>The two services over HTTP, as their callers see them.</summary>
public sealed class ServicesTests : IDisposable
{
    private const string Event = """{"specversion":"1.0","id":"r:1","source":"/actors/default/OrderWorkflow/o-1","type":"order-placed","subject":"o-1","data":{}}""";

    private static readonly Order Ok = new("o-1", "c-1", [new("s-1", 1)], 100, "ok", true);
    private readonly string _folder = Directory.CreateTempSubdirectory("actors-test-").FullName;
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Whatever_trouble_the_payment_service_makes_repeated_calls_with_one_key_charge_once()
    {
        var file = Path.Combine(_folder, "payments.jsonl");
        await using var service = PaymentService.Build(Builder(), file, seed: 7);
        await service.StartAsync(Cancellation);
        using var http = new HttpClient { BaseAddress = new Uri(service.Urls.First()) };
        var payments = new PaymentsClient(http);

        var failures = await Task.WhenAll(Enumerable.Range(1, 100).Select(async number =>
        {
            var order = Ok with { Id = $"o-{number}" };
            for (var failed = 0; ; failed++)
            {
                try
                {
                    await payments.ChargeAsync(order, $"key-{number}", Cancellation);
                    return failed;
                }
                catch (HttpRequestException)
                {
                }
            }
        }));

        Assert.True(failures.Sum() > 0, "The service made no trouble at all.");
        var charged = AppendOnlyFile<Payment>.Read(file);
        Assert.Equal(100, charged.Select(payment => payment.Order).Distinct().Count());
        Assert.Equal(100, charged.Count);
    }

    [Fact]
    public async Task A_declined_card_is_a_refusal_of_its_own_type()
    {
        await using var service = PaymentService.Build(Builder(), Path.Combine(_folder, "payments.jsonl"), seed: 1, reliable: true);
        await service.StartAsync(Cancellation);
        using var http = new HttpClient { BaseAddress = new Uri(service.Urls.First()) };

        await Assert.ThrowsAsync<CardDeclinedException>(
            () => new PaymentsClient(http).ChargeAsync(Ok with { Card = "declined" }, "k", Cancellation));
    }

    [Fact]
    public async Task The_receiver_takes_a_signed_event_writes_it_once_and_refuses_what_is_not_signed_for_it()
    {
        var file = Path.Combine(_folder, "webhook.jsonl");
        await using var receiver = WebhookReceiver.Build(Builder(), file, Convert.ToBase64String(_key), seed: 1, reliable: true);
        await receiver.StartAsync(Cancellation);
        using var http = new HttpClient { BaseAddress = new Uri(receiver.Urls.First()) };
        var now = DateTimeOffset.UtcNow;

        Assert.Equal(HttpStatusCode.NoContent, await PostAsync(http, "r:1", Event, now));
        Assert.Equal(HttpStatusCode.NoContent, await PostAsync(http, "r:1", Event, now));
        Assert.Equal(HttpStatusCode.Unauthorized,
            await PostAsync(http, "r:1", Event, now, signed: Event.Replace("o-1", "o-2", StringComparison.Ordinal)));
        Assert.Equal(HttpStatusCode.Unauthorized, await PostAsync(http, "r:1", Event, now - TimeSpan.FromHours(1)));
        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync(http, "r:2", Event, now));
        Assert.Equal(HttpStatusCode.BadRequest, await PostAsync(http, "r:2", "{}", now));

        Assert.Equal([new Delivery(1, "r:1", "order-placed", "o-1")], AppendOnlyFile<Delivery>.Read(file));
    }

    private static WebApplicationBuilder Builder()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        return builder;
    }

    private async Task<HttpStatusCode> PostAsync(HttpClient http, string id, string body, DateTimeOffset at, string? signed = null)
    {
        var timestamp = at.ToUnixTimeSeconds();
        using var request = new HttpRequestMessage(
            HttpMethod.Post, "events") { Content = new StringContent(body, Encoding.UTF8, "application/cloudevents+json") };
        request.Headers.Add("webhook-id", id);
        request.Headers.Add("webhook-timestamp", $"{timestamp}");
        using var hmac = new HMACSHA256(_key);
        request.Headers.Add("webhook-signature",
            $"v1,{Convert.ToBase64String(hmac.ComputeHash(Encoding.UTF8.GetBytes($"{id}.{timestamp}.{signed ?? body}")))}");
        using var answer = await http.SendAsync(request, Cancellation);
        return answer.StatusCode;
    }
}
