using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Actors.Calling;

/// <summary>How values travel: web defaults of System.Text.Json, enums by name, and nothing lost in silence.</summary>
internal static class CarriedJson
{
    public static JsonSerializerOptions Options { get; } = Make(new Utc());

    /// <summary>The same, and a text that is not Unicode throws: found out only where the JSON holds U+FFFD, which may be what became of
    /// one.</summary>
    public static JsonSerializerOptions Strict { get; } = Make(new Utc(), new WellFormed(), new WholeCharacter(), new WholeUri());

    private static JsonSerializerOptions Make(params JsonConverter[] converters)
    {
        var options = new JsonSerializerOptions(JsonSerializerDefaults.Web)
        {
            TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { RefuseOtherTypes } },
            Converters = { new JsonStringEnumConverter() },
        };
        Array.ForEach(converters, options.Converters.Add);
        return options;
    }

    private static readonly ConcurrentDictionary<Type, string?> Beside = new();

    /// <summary>Of a value that is more than its declared type only what that declares would be written.</summary>
    private static void RefuseOtherTypes(JsonTypeInfo info)
    {
        if (info.Kind is JsonTypeInfoKind.Enumerable or JsonTypeInfoKind.Dictionary && !info.Type.IsSealed && !info.Type.IsValueType)
        {
            var collection = info.Type;
            info.OnSerializing = value =>
            {
                if (value.GetType() is var type && type != collection && Beside.GetOrAdd(type, JsonLoss.BesideElements) is { } lost)
                {
                    throw new LostInJsonException(
                        $"a {type.Name} stands where {collection.Name} is declared, and its {lost} would be lost: declare a type that has "
                            + $"the collection");
                }
            };
        }

        if (info.Kind != JsonTypeInfoKind.Object || info.Type.IsSealed || info.Type.IsValueType)
        {
            return;
        }

        var (declared, users) = (info.Type, info.OnSerializing);
        var derived = info.PolymorphismOptions?.DerivedTypes.Select(type => type.DerivedType).ToHashSet();
        info.OnSerializing = value =>
        {
            if (value.GetType() != declared && derived?.Contains(value.GetType()) is not true)
            {
                throw new LostInJsonException(
                    $"a {value.GetType().Name} stands where {declared.Name} is declared, and its own members would be lost: "
                    + $"declare that type, or mark {declared.Name} [JsonDerivedType(typeof({value.GetType().Name}), …)]");
            }

            users?.Invoke(value);
        };
    }

    /// <summary>A local time would be another hour in another zone: it travels and comes back as UTC.</summary>
    private sealed class Utc : JsonConverter<DateTime>
    {
        public override DateTime Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            AsUtc(reader.GetDateTime());

        public override void Write(Utf8JsonWriter writer, DateTime value, JsonSerializerOptions options) =>
            writer.WriteStringValue(AsUtc(value));

        public override DateTime ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            AsUtc(JsonSerializer.Deserialize<DateTime>($"\"{reader.GetString()}\""));

        public override void WriteAsPropertyName(Utf8JsonWriter writer, DateTime value, JsonSerializerOptions options) =>
            writer.WritePropertyName(JsonSerializer.Serialize(AsUtc(value)).Trim('"'));

        private static DateTime AsUtc(DateTime time) => time.Kind == DateTimeKind.Local ? time.ToUniversalTime() : time;
    }

    private sealed class WholeCharacter : JsonConverter<char>
    {
        public override char Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetString()![0];

        public override void Write(Utf8JsonWriter writer, char value, JsonSerializerOptions options) => writer.WriteStringValue(
            !char.IsSurrogate(value) ? $"{value}"
            : throw new LostInJsonException("a char is half of a surrogate pair, which would come back as U+FFFD: use a string"));
    }

    private sealed class WholeUri : JsonConverter<Uri>
    {
        public override Uri Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            new(reader.GetString()!, UriKind.RelativeOrAbsolute);

        public override void Write(Utf8JsonWriter writer, Uri value, JsonSerializerOptions options) =>
            writer.WriteStringValue(WellFormed.Checked(value.OriginalString));
    }

    private sealed class WellFormed : JsonConverter<string>
    {
        public override string? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetString();

        public override void Write(Utf8JsonWriter writer, string value, JsonSerializerOptions options) =>
            writer.WriteStringValue(Checked(value));

        public override string ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.GetString()!;

        public override void WriteAsPropertyName(Utf8JsonWriter writer, string value, JsonSerializerOptions options) =>
            writer.WritePropertyName(Checked(value));

        public static string Checked(string text)
        {
            for (var rest = text.AsSpan(); !rest.IsEmpty;)
            {
                if (Rune.DecodeFromUtf16(rest, out _, out var consumed) != System.Buffers.OperationStatus.Done)
                {
                    throw new LostInJsonException(
                        "a text holds half of a surrogate pair, which would come back as U+FFFD: it was cut in the middle of a character");
                }

                rest = rest[consumed..];
            }

            return text;
        }
    }
}

/// <summary>A value that would not come back as it is. The message is the rest of a sentence.</summary>
internal sealed class LostInJsonException(string message) : Exception(message);
