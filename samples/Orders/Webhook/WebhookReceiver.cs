using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Actors.Orders.Webhook;

/// <summary>
/// Another company's end of the outbox, a process of its own: <c>POST /events</c> takes signed CloudEvents, <c>GET /deliveries</c> lists
/// what came first. Now and then it fails, so that messages come twice; a repeat is taken and not written again.
/// </summary>
public static class WebhookReceiver
{
    private const int TroublePercent = 4;
    private static readonly TimeSpan TimestampTolerance = TimeSpan.FromMinutes(5);

    /// <param name="file">First deliveries in their order; outlives the process.</param>
    /// <param name="secret">Base64, shared with the sender.</param>
    /// <param name="reliable">True: no trouble at all.</param>
    public static WebApplication Build(WebApplicationBuilder builder, string file, string secret, int seed, bool reliable = false)
    {
        var key = Convert.FromBase64String(secret);
        builder.Services.AddSingleton(_ => new DeliveryLog(file));
        var app = builder.Build();
        var unreliability = new Unreliability(seed, reliable ? 0 : TroublePercent);
        app.MapPost("/events", async (HttpRequest request, DeliveryLog log) =>
        {
            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body);
            return !IsGenuine(request.Headers, body.ToArray(), key, DateTimeOffset.UtcNow)
                ? Results.Unauthorized()
                : TryParse(body.ToArray()) is not { } message || message.Id != request.Headers["webhook-id"]
                ? Results.BadRequest("No CloudEvent 1.0, or its id is not the header's.")
                : await unreliability.AnswerAsync(message.Id, async () =>
                {
                    await log.TakeAsync(message.Id, message.Type, message.Subject);
                    return Results.NoContent();
                });
        });
        app.MapGet("/deliveries", (DeliveryLog log) => log.List());
        return app;
    }

    /// <summary>As Standard Webhooks has it: HMAC-SHA256 over <c>id.timestamp.body</c>, and a timestamp that is not old.</summary>
    internal static bool IsGenuine(IHeaderDictionary headers, byte[] body, byte[] key, DateTimeOffset now)
    {
        var (id, timestamp) = (headers["webhook-id"].ToString(), headers["webhook-timestamp"].ToString());
        if (!long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            || Math.Abs(now.ToUnixTimeSeconds() - seconds) > TimestampTolerance.TotalSeconds)
        {
            return false;
        }

        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        hmac.AppendData(Encoding.UTF8.GetBytes($"{id}.{timestamp}."));
        hmac.AppendData(body);
        var expected = Encoding.ASCII.GetBytes($"v1,{Convert.ToBase64String(hmac.GetHashAndReset())}");
        return headers["webhook-signature"].ToString().Split(' ')
            .Any(signature => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(signature), expected));
    }

    private static (string Id, string Type, string Subject)? TryParse(byte[] body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            var root = json.RootElement;
            return root.GetProperty("specversion").GetString() == "1.0" && root.GetProperty("source").GetString() is { Length: > 0 }
                ? (root.GetProperty("id").GetString()!, root.GetProperty("type").GetString()!, root.GetProperty("subject").GetString()!)
                : null;
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
    }
}
