namespace Actors.Wire;

/// <summary>A value as it is stored and sent: UTF-8 JSON, or what the codec hook made of it.</summary>
/// <param name="Data">UTF-8 JSON; opaque bytes when <paramref name="Encoded"/>.</param>
/// <param name="Encoded">True when a codec made the bytes: stored in the <c>bytes</c> column, not in <c>payload</c>.</param>
[GenerateSerializer, Immutable, Alias("actors.Payload")]
internal readonly record struct Payload([property: Id(0)] byte[]? Data, [property: Id(1)] bool Encoded = false)
{
    public int Size => Data?.Length ?? 0;
}
