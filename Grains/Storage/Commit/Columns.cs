using Npgsql;
using NpgsqlTypes;

namespace Actors.Storage;

/// <summary>Parameters of statements over arrays: a column of the items' values, or one value where there is one item.</summary>
internal static class Columns
{
    // A payload is in one of two columns: json as it is, bytes where a codec made them.
    public static NpgsqlParameter Json<T>(IReadOnlyList<T> items, Func<T, Wire.Payload> payload) =>
        Array(items, item => JsonOf(payload(item)), NpgsqlDbType.Json);

    public static NpgsqlParameter Bytes<T>(IReadOnlyList<T> items, Func<T, Wire.Payload> payload) =>
        Array(items, item => BytesOf(payload(item)), NpgsqlDbType.Bytea);

    public static byte[]? JsonOf(Wire.Payload payload) => payload.Encoded ? null : payload.Data;

    public static byte[]? BytesOf(Wire.Payload payload) => payload.Encoded ? payload.Data : null;

    public static NpgsqlParameter<T> One<T>(T value, NpgsqlDbType type) => new() { TypedValue = value, NpgsqlDbType = type };

    public static NpgsqlParameter Array<TItem, TValue>(IReadOnlyList<TItem> items, Func<TItem, TValue> value, NpgsqlDbType type)
    {
        if (items.Count == 1)
        {
            return One(value(items[0]), type);
        }

        var (values, given) = (new TValue[items.Count], false);
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = value(items[i]);
            given |= values[i] is not null;
        }

        // Of arrays unnested together the shorter are filled up with nulls: a column of nulls need not be sent.
        return new NpgsqlParameter<TValue[]> { TypedValue = given ? values : [], NpgsqlDbType = NpgsqlDbType.Array | type };
    }
}

/// <summary>A statement over arrays, and the same for one row.</summary>
internal sealed class GroupStatement(string name)
{
    private readonly string _many = SqlText.Get(name);
    private readonly string _one = SqlText.ForOne(name);

    public string For(int rows) => rows == 1 ? _one : _many;
}
