using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Actors.Outbox;

public sealed class WebhookSinkTests
{
    private static readonly byte[] Secret = RandomNumberGenerator.GetBytes(32);

    private static readonly OutboxMessage Message = new(
        "6f1c0c6e-0000-4000-8000-000000000001:7", new WorkflowId("order/42 ü", "shop"), Guid.NewGuid(), "Checkout", "order-placed",
        "kunde \"ü\"",
        "{\"orderId\":42,\"text\":\"ä\"}"u8.ToArray(), new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero), 1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_request_is_a_cloud_event()
    {
        var receiver = new Receiver(HttpStatusCode.NoContent);
        await Sink(receiver).DeliverAsync(Message, Cancel);
        Assert.Equal("POST http://receiver.test/hook", $"{receiver.Request!.Method} {receiver.Request.RequestUri}");
        Assert.Equal("application/cloudevents+json; charset=utf-8", receiver.Request.Content!.Headers.ContentType!.ToString());
        var body = JsonDocument.Parse(receiver.Body).RootElement;
        Assert.Equal(
            ("1.0", Message.Id, "/actors/shop/Checkout/order%2F42%20%C3%BC", "order-placed", Message.Key, "2026-01-02T03:04:05.0000000Z",
                "application/json"),
            (Text("specversion"), Text("id"), Text("source"), Text("type"), Text("subject"), Text("time"), Text("datacontenttype")));
        Assert.Equal(Encoding.UTF8.GetString(Message.Json.Span), body.GetProperty("data").GetRawText());
        Assert.True(Uri.TryCreate(Text("source"), UriKind.Relative, out _));

        string? Text(string name) => body.GetProperty(name).GetString();
    }

    [Fact]
    public async Task An_empty_key_gives_no_subject()
    {
        var receiver = new Receiver(HttpStatusCode.OK);
        await Sink(receiver).DeliverAsync(Message with { Key = "" }, Cancel);
        Assert.False(JsonDocument.Parse(receiver.Body).RootElement.TryGetProperty("subject", out _));
    }

    [Fact]
    public async Task The_signature_verifies_over_id_timestamp_and_body()
    {
        var receiver = new Receiver(HttpStatusCode.OK);
        var time = new FakeTimeProvider(DateTimeOffset.FromUnixTimeSeconds(1_767_000_000));
        await Sink(receiver, time).DeliverAsync(Message, Cancel);
        var headers = receiver.Request!.Headers;
        Assert.Equal((Message.Id, "1767000000"),
            (headers.GetValues("webhook-id").Single(), headers.GetValues("webhook-timestamp").Single()));
        var signed = Encoding.UTF8.GetBytes($"{Message.Id}.1767000000.").Concat(receiver.Body).ToArray();
        Assert.Equal($"v1,{Convert.ToBase64String(HMACSHA256.HashData(Secret, signed))}", headers.GetValues("webhook-signature").Single());
    }

    [Fact]
    public async Task Silence_is_a_failed_attempt()
    {
        var time = new FakeTimeProvider();
        var delivery = Sink(new Receiver(null), time).DeliverAsync(Message, Cancel);
        time.Advance(TimeSpan.FromSeconds(9.9));
        Assert.False(delivery.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.2));
        var error = await Assert.ThrowsAsync<OutboxDeliveryException>(() => delivery.WaitAsync(TimeSpan.FromSeconds(30), Cancel));
        Assert.Equal((false, null), (error.IsPermanent, error.RetryAfter));
    }

    [Fact]
    public async Task A_stop_is_no_failed_attempt()
    {
        using var stop = new CancellationTokenSource();
        var delivery = Sink(new Receiver(null)).DeliverAsync(Message, stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => delivery.WaitAsync(TimeSpan.FromSeconds(30), Cancel));
    }

    [Theory]
    [InlineData(HttpStatusCode.BadRequest, false)]
    [InlineData(HttpStatusCode.NotFound, false)]
    [InlineData(HttpStatusCode.Gone, true)]
    [InlineData(HttpStatusCode.Found, false)]
    [InlineData(HttpStatusCode.ServiceUnavailable, false)]
    public async Task Other_answers_than_2xx_are_failed_attempts_and_410_is_for_good(HttpStatusCode answer, bool isPermanent)
    {
        var error = await Assert.ThrowsAsync<OutboxDeliveryException>(() => Sink(new Receiver(answer)).DeliverAsync(Message, Cancel));
        Assert.Equal((isPermanent, $"The receiver answered HTTP {(int)answer}."), (error.IsPermanent, error.Message));
    }

    [Theory]
    [InlineData("120")]
    [InlineData("Fri, 02 Jan 2026 03:06:05 GMT")]
    public async Task Retry_after_is_handed_on(string header)
    {
        var receiver = new Receiver(HttpStatusCode.TooManyRequests, header);
        var time = new FakeTimeProvider(Message.At);
        var error = await Assert.ThrowsAsync<OutboxDeliveryException>(() => Sink(receiver, time).DeliverAsync(Message, Cancel));
        Assert.Equal(TimeSpan.FromMinutes(2), error.RetryAfter);
    }

    [Theory]
    [InlineData("1000000000000")]
    [InlineData("99999999999999999999999999")]
    public async Task Retry_after_of_ages_is_the_longest_back_off(string header)
    {
        var error = await Assert.ThrowsAsync<OutboxDeliveryException>(
            () => Sink(new Receiver(HttpStatusCode.TooManyRequests, header)).DeliverAsync(Message, Cancel));
        var options = new OutboxOptions();
        Assert.Equal(options.BackOffMax, BackOff.After(1, error, options));
    }

    [Fact]
    public async Task The_time_stamp_is_the_database_s_time_of_the_attempt()
    {
        var receiver = new Receiver(HttpStatusCode.OK);
        await Sink(receiver).DeliverAsync(Message with { AttemptAt = DateTimeOffset.FromUnixTimeSeconds(1_767_000_000) }, Cancel);
        Assert.Equal("1767000000", receiver.Request!.Headers.GetValues("webhook-timestamp").Single());
    }

    [Theory]
    [InlineData("short")]
    [InlineData("not-base64-not-base64-not-base64-not-base64")]
    public void A_bad_secret_is_refused_without_being_shown(string secret)
    {
        var error = Assert.Throws<ArgumentException>(
            () => new WebhookSink(new() { Endpoint = new Uri("http://receiver.test"), Secret = secret }));
        Assert.DoesNotContain(secret, error.Message, StringComparison.Ordinal);
    }

    private static WebhookSink Sink(Receiver receiver, TimeProvider? time = null) => new(
        new WebhookOptions { Endpoint = new Uri("http://receiver.test/hook"), Secret = "whsec_" + Convert.ToBase64String(Secret) },
        new HttpMessageInvoker(receiver), time);

    /// <summary>Answers, or (null) never does.</summary>
    private sealed class Receiver(HttpStatusCode? answer, string? retryAfter = null) : HttpMessageHandler
    {
        public HttpRequestMessage? Request { get; private set; }

        public byte[] Body { get; private set; } = [];

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            (Request, Body) = (request, await request.Content!.ReadAsByteArrayAsync(cancellationToken));
            if (answer is null)
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }

            var response = new HttpResponseMessage(answer!.Value);
            if (retryAfter is not null)
            {
                response.Headers.TryAddWithoutValidation("Retry-After", retryAfter);
            }

            return response;
        }
    }
}
