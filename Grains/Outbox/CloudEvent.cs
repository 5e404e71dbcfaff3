using System.Buffers;
using System.Globalization;
using System.Text.Json;

namespace Actors;

/// <summary>A message as a CloudEvents 1.0 event in JSON. The payload is copied as it is stored, never parsed.</summary>
internal static class CloudEvent
{
    public const string ContentType = "application/cloudevents+json";

    public static ReadOnlyMemory<byte> Write(OutboxMessage message)
    {
        var buffer = new ArrayBufferWriter<byte>(message.Json.Length + 512);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteString("specversion", "1.0");
        json.WriteString("id", message.Id);
        json.WriteString("source", Source(message));
        json.WriteString("type", message.Topic);
        if (message.Key.Length > 0)
        {
            json.WriteString("subject", message.Key);   // must not be empty
        }

        json.WriteString("time", message.At.UtcDateTime.ToString("O", CultureInfo.InvariantCulture));
        json.WriteString("datacontenttype", "application/json");
        json.WritePropertyName("data");
        json.WriteRawValue(message.Json.Span, skipInputValidation: true);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    // A URI-reference: each part escaped, so that an id with a slash stays one part.
    private static string Source(OutboxMessage message) =>
        $"/actors/{Uri.EscapeDataString(message.Workflow.Namespace)}/{Uri.EscapeDataString(message.WorkflowType)}/"
            + Uri.EscapeDataString(message.Workflow.Id);
}
