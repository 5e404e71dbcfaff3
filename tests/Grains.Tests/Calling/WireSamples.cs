using System.Runtime.CompilerServices;

namespace Actors.Grains.Tests.Calling;

/// <summary>An instance of a record of the wire, each member filled with what follows from its name and type: the same in every run, and
/// another member changes none of the others.</summary>
internal static class WireSamples
{
    public static object Of(Type record)
    {
        var sample = RuntimeHelpers.GetUninitializedObject(record);
        for (var type = record; type is not null; type = type.BaseType)
        {
            foreach (var member in WireContract.Members(type))
            {
                member.SetValue(sample, Value(member.PropertyType, member.Name));
            }
        }
        return sample;
    }

    private static object Value(Type type, string name)
    {
        var number = name.Sum(letter => letter);
        return type switch
        {
            _ when Nullable.GetUnderlyingType(type) is { } value => Value(value, name),
            _ when WireContract.Records.Contains(type) => Of(type),
            _ when type.IsEnum => Enum.GetValues(type).Cast<object>().Last(),
            _ when type.IsArray => ArrayOf(Value(type.GetElementType()!, name)),
            _ when type == typeof(string) => $"{name} é",
            _ when type == typeof(bool) => true,
            _ when type == typeof(byte) => (byte)number,
            _ when type == typeof(int) => number,
            _ when type == typeof(long) => (long)number,
            _ when type == typeof(Guid) => new Guid(number, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
            _ when type == typeof(TimeSpan) => TimeSpan.FromMilliseconds(number),
            _ when type == typeof(DateTimeOffset) => new DateTimeOffset(2026, 1, 2, 3, 4, 5, number, TimeSpan.FromHours(2)),
            _ when type == typeof(IReadOnlyList<string>) => Listed($"{name} é"),
            _ => throw new NotSupportedException($"A member of type {type} is new on the wire: say in WireSamples how it is filled."),
        };
    }

    /// <summary>As contracts list their names: Orleans writes a list by what it was made as.</summary>
    private static IReadOnlyList<string> Listed(string element) => [element];

    private static Array ArrayOf(object element)
    {
        var array = Array.CreateInstance(element.GetType(), 1);
        array.SetValue(element, 0);
        return array;
    }
}
