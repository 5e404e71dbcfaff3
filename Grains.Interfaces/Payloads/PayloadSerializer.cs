using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Unicode;
using Actors.Wire;

namespace Actors.Calling;

/// <summary>Hook that turns the JSON of a payload into bytes and back: compression, encryption. Silos and clients must share it.</summary>
public interface IPayloadCodec
{
    /// <summary>The bytes to store instead, or null to leave this payload readable JSON.</summary>
    byte[]? Encode(ReadOnlySpan<byte> json);

    /// <summary>The JSON that <see cref="Encode"/> made these bytes of, by whatever version of the codec. What it throws is a
    /// <see cref="PayloadException"/> for whoever reads.</summary>
    byte[] Decode(ReadOnlySpan<byte> bytes);
}

/// <summary>Values to payloads and back, with System.Text.Json. What is written can be read again, and Postgres can hold it.</summary>
/// <remarks>What a payload is (<c>what</c>) is put into words only for an error.</remarks>
/// <param name="codec">Null: payloads stay JSON that SQL can read.</param>
internal sealed class PayloadSerializer(IPayloadCodec? codec = null)
{
    private static readonly JsonSerializerOptions Options = CarriedJson.Options;

    /// <summary>UTF-8 bytes before the codec; over it a payload is refused.</summary>
    /// <value>1 KiB to 64 MiB. Default 2 MiB.</value>
    public int SizeMax { get; init; } = 2 * 1024 * 1024;

    /// <exception cref="PayloadTooLargeException">Over <see cref="SizeMax"/>.</exception>
    /// <exception cref="PayloadException">Not serializable, or it holds what Postgres cannot hold as text: the character U+0000, bytes that
    /// are not UTF-8.</exception>
    public Payload Write<T>(T value, FormattableString what) => Write(value, typeof(T), what);

    public Payload Write(object? value, Type type, FormattableString what)
    {
        byte[] json;
        using var outside = OutsideTurn.Begin();
        try
        {
            json = JsonSerializer.SerializeToUtf8Bytes(value, type, Options);
            if (json.AsSpan().IndexOf("\\uFFFD"u8) >= 0)
            {
                // Half a surrogate pair becomes that in silence.
                json = JsonSerializer.SerializeToUtf8Bytes(value, type, CarriedJson.Strict);
            }
        }
        catch (LostInJsonException error)
        {
            throw new PayloadException($"{what}: {error.Message}.");
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // Users' getters and converters throw anything, with anything in the message.
            throw new PayloadException($"{what}: a value of type {type.Name} cannot be written as JSON ({error.GetType().Name}).", error);
        }

        return Checked(json, what);
    }

    /// <summary>The arguments of a call as one JSON array.</summary>
    public Payload WriteArguments(MethodInfo method, object?[] arguments, FormattableString what)
    {
        using var outside = OutsideTurn.Begin();
        var parameters = method.GetParameters();
        var elements = new JsonElement[arguments.Length];
        for (var i = 0; i < arguments.Length; i++)
        {
            try
            {
                elements[i] = JsonSerializer.SerializeToElement(arguments[i], parameters[i].ParameterType, Options);
                if (elements[i].GetRawText().Contains("\\uFFFD", StringComparison.Ordinal))
                {
                    elements[i] = JsonSerializer.SerializeToElement(arguments[i], parameters[i].ParameterType, CarriedJson.Strict);
                }
            }
            catch (LostInJsonException error)
            {
                throw new PayloadException($"{what}: argument '{parameters[i].Name}': {error.Message}.");
            }
            catch (Exception error) when (error is not OutOfMemoryException)
            {
                throw new PayloadException(
                    $"{what}: argument '{parameters[i].Name}' cannot be written as JSON ({error.GetType().Name}).", error);
            }
        }

        return Write(elements, what);
    }

    /// <exception cref="PayloadException">The payload is not JSON of this type. The message names what and type, never the
    /// payload.</exception>
    public T Read<T>(Payload payload, FormattableString what) => (T)Read(payload, typeof(T), what)!;

    public object? Read(Payload payload, Type type, FormattableString what)
    {
        using var outside = OutsideTurn.Begin();
        try
        {
            return JsonSerializer.Deserialize(Json(payload), type, Options);
        }
        catch (Exception error) when (error is not (PayloadException or OutOfMemoryException))
        {
            // The messages of System.Text.Json and its path quote values and keys: keep the place alone.
            var place = error is JsonException { LineNumber: { } line, BytePositionInLine: { } at } ? $" (line {line + 1}, byte {at})" : "";
            throw new PayloadException($"{what}: the payload cannot be read as {type.Name}{place}.", null);
        }
    }

    /// <summary>
    /// The arguments that the method takes, whatever version of it the caller knew: those that are missing at the end take their declared
    /// defaults (<c>params</c>: none), and those that are too many are left out.
    /// </summary>
    /// <param name="surplus">How many were left out.</param>
    /// <exception cref="PayloadException">One is missing that has no default, or cannot be read as its parameter's type.</exception>
    public object?[] ReadArguments(Payload payload, MethodInfo method, FormattableString what, out int surplus)
    {
        using var outside = OutsideTurn.Begin();
        var parameters = method.GetParameters();
        var elements = Read<JsonElement[]?>(payload, what) ?? throw new PayloadException(
            $"{what}: no arguments were given, not even an empty array of them.");
        surplus = Math.Max(0, elements.Length - parameters.Length);
        var values = new object?[parameters.Length];
        for (var i = 0; i < values.Length; i++)
        {
            if (i >= elements.Length)
            {
                values[i] = Default(parameters[i]) ?? (parameters[i].IsOptional ? null : throw new PayloadException(
                    $"{what}: {elements.Length} arguments were given, and '{parameters[i].Name}' of {method.Name} has no default."));
                continue;
            }

            try
            {
                values[i] = elements[i].Deserialize(parameters[i].ParameterType, Options);
            }
            catch (Exception error) when (error is not OutOfMemoryException)
            {
                throw new PayloadException(
                    $"{what}: argument '{parameters[i].Name}' cannot be read as {parameters[i].ParameterType.Name}.");
            }
        }

        return values;
    }

    /// <summary>What a caller in C# would pass by leaving the argument out; null where that is null, or the default of a struct, or where
    /// it must not.</summary>
    private object? Default(ParameterInfo parameter)
    {
        if (parameter.IsDefined(typeof(ParamArrayAttribute)) || parameter.IsDefined(typeof(ParamCollectionAttribute)))
        {
            return JsonSerializer.Deserialize("[]"u8, parameter.ParameterType, Options);
        }

        // Reflection gives the default of a nullable enum as its number, which a call by reflection does not take.
        var type = Nullable.GetUnderlyingType(parameter.ParameterType);
        return !parameter.HasDefaultValue ? null
            : parameter.DefaultValue is { } value && type is { IsEnum: true } ? Enum.ToObject(type, value)
            : parameter.DefaultValue;
    }

    /// <summary>The payload's JSON, decoded.</summary>
    public ReadOnlySpan<byte> Json(Payload payload) => payload switch
    {
        { Data: null } => "null"u8,
        { Encoded: false } => payload.Data,
        _ when codec is not null => codec.Decode(payload.Data),
        _ => throw new PayloadException(
            "The payload was written through a codec, and none is configured here: register the IPayloadCodec that wrote it."),
    };

    /// <summary>Checks bytes that came from elsewhere as if they were written here, and applies the codec.</summary>
    public Payload Checked(byte[] json, FormattableString what)
    {
        if (json.Length > SizeMax)
        {
            throw new PayloadTooLargeException(
                $"{what}: {json.Length:N0} bytes of JSON, the limit is {SizeMax:N0}. Store large data elsewhere and pass a reference.");
        }

        if (codec is null && HoldsNul(json))
        {
            throw new PayloadException(
                $"{what}: the JSON holds the character U+0000, which Postgres cannot hold as text. Remove it, or use a codec.");
        }

        if (!Utf8.IsValid(json))
        {
            throw new PayloadException($"{what}: the JSON is not UTF-8, which Postgres cannot hold as text.");
        }

        return codec?.Encode(json) is { } bytes ? new Payload(bytes, Encoded: true) : new Payload(json);
    }

    /// <summary>Checks the size of what a codec elsewhere made: it may make a payload a little larger than the limit (base64: by a
    /// third).</summary>
    public Payload CheckedEncoded(Payload payload, FormattableString what)
    {
        if (payload.Size > SizeMax + (SizeMax / 2))
        {
            throw new PayloadTooLargeException(
                $"{what}: {payload.Size:N0} encoded bytes, the limit is {SizeMax + (SizeMax / 2):N0}. Store large data elsewhere and pass "
                + $"a reference.");
        }

        return payload;
    }

    // The escape counts only when its backslash is not itself escaped.
    private static bool HoldsNul(ReadOnlySpan<byte> json)
    {
        for (var from = 0; json[from..].IndexOf("\\u0000"u8) is >= 0 and var found; from += found + 6)
        {
            var at = from + found;
            var backslashes = 0;
            while (at - backslashes - 1 >= 0 && json[at - backslashes - 1] == (byte)'\\')
            {
                backslashes++;
            }

            if (backslashes % 2 == 0)
            {
                return true;
            }
        }

        return false;
    }
}
