using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;

namespace Actors;

/// <summary>
/// Delivers each message as a CloudEvents 1.0 event over HTTP POST, signed as Standard Webhooks asks. A 2xx answer means delivered; 410
/// Gone makes a dead letter at once; everything else is a failed attempt.
/// </summary>
/// <remarks>
/// Structured mode (<c>application/cloudevents+json</c>): the signature covers the body, and so the type, subject and source too, and a key
/// may hold any character. Headers: <c>webhook-id</c> (the message's id), <c>webhook-timestamp</c> (Unix seconds of the attempt by the
/// database's clock) and <c>webhook-signature</c> (<c>v1,</c> and the Base64 of HMAC-SHA256 over <c>id.timestamp.body</c>). Other 4xx
/// answers are tried again, because a wrong path or secret is repaired sooner than dead letters are; 410 is the one answer that says "for
/// good". <c>Retry-After</c> is honoured up to <see cref="OutboxOptions.BackOffMax"/>.
/// </remarks>
public sealed class WebhookSink : OneByOneSink
{
    private readonly HttpMessageInvoker _http;
    private readonly WebhookOptions _options;
    private readonly TimeProvider? _time;
    private readonly byte[] _secret;

    /// <param name="http">Null: a client of its own, without redirects, proxies as the system says, connections renewed after two
    /// minutes.</param>
    /// <param name="time">Null: the time of an attempt is the message's, and the machine's clock measures the time-out.</param>
    /// <exception cref="ArgumentException">The endpoint is not absolute HTTP, or the secret is not Base64 of 24 to 64 bytes.</exception>
    public WebhookSink(WebhookOptions options, HttpMessageInvoker? http = null, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (!options.Endpoint.IsAbsoluteUri || options.Endpoint.Scheme is not ("http" or "https"))
        {
            throw new ArgumentException("WebhookOptions.Endpoint: give an absolute http or https address.", nameof(options));
        }

        _secret = Key(options.Secret);
        _options = options;
        _time = time;
        _http = http ?? new HttpMessageInvoker(
            new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(2) });
    }

    /// <inheritdoc/>
    public override async Task DeliverAsync(OutboxMessage message, CancellationToken cancellation)
    {
        using var limit = new CancellationTokenSource(_options.Timeout, _time ?? TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        using var request = Request(message);
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, either.Token);
        }
        catch (OperationCanceledException error) when (limit.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            throw new OutboxDeliveryException($"No answer within {_options.Timeout}.", inner: error);
        }

        using (response)
        {
            if (!response.IsSuccessStatusCode)
            {
                throw new OutboxDeliveryException(
                    $"The receiver answered HTTP {(int)response.StatusCode}.", RetryAfter(response, Now(message)),
                    response.StatusCode == HttpStatusCode.Gone);
            }
        }
    }

    private HttpRequestMessage Request(OutboxMessage message)
    {
        var body = CloudEvent.Write(message);
        var timestamp = Now(message).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _secret);
        hmac.AppendData(Encoding.ASCII.GetBytes($"{message.Id}.{timestamp}."));
        hmac.AppendData(body.Span);
        var request = new HttpRequestMessage(HttpMethod.Post, _options.Endpoint) { Content = new ReadOnlyMemoryContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(CloudEvent.ContentType, "utf-8");
        request.Headers.Add("webhook-id", message.Id);
        request.Headers.Add("webhook-timestamp", timestamp);
        request.Headers.Add("webhook-signature", $"v1,{Convert.ToBase64String(hmac.GetHashAndReset())}");
        return request;
    }

    private DateTimeOffset Now(OutboxMessage message) => _time?.GetUtcNow() ?? message.AttemptAt ?? TimeProvider.System.GetUtcNow();

    private static TimeSpan? RetryAfter(HttpResponseMessage response, DateTimeOffset now) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date - (response.Headers.Date ?? now), // Both by the receiver's clock, where it shows it.
        _ => response.Headers.NonValidated.TryGetValues("Retry-After", out var values) && values.ToString() is { Length: > 0 } text
            && text.All(char.IsAsciiDigit)
            ? TimeSpan.MaxValue // More seconds than .NET reads.
            : null,
    };

    private static byte[] Key(string secret)
    {
        var text = secret.StartsWith("whsec_", StringComparison.Ordinal) ? secret["whsec_".Length..] : secret;
        var key = new byte[text.Length];
        return Convert.TryFromBase64String(text, key, out var length) && length is >= 24 and <= 64
            ? key[..length]
            : throw new ArgumentException("WebhookOptions.Secret: give Base64 of 24 to 64 random bytes.", nameof(secret));
    }
}
