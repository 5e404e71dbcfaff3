using System.Reflection;
using Actors.Cluster;
using Actors.Wire;
using Orleans.Concurrency;

namespace Actors.Grains.Tests.Calling;

/// <summary>What silos and clients of different versions must agree on, as the code says it: records, their members, grains and their
/// methods.</summary>
internal static class WireContract
{
    private static readonly Type[] Types =
    [
        .. new[] { typeof(WorkflowCall), typeof(WorkflowGrain), typeof(ActorsClientOptions) }
            .SelectMany(type => type.Assembly.GetTypes()).OrderBy(Name, StringComparer.Ordinal),
    ];

    /// <summary>What Orleans writes on the wire.</summary>
    public static IReadOnlyList<Type> Records { get; } =
        [.. Types.Where(type => type.IsDefined(typeof(GenerateSerializerAttribute), inherit: false))];

    public static IEnumerable<string> Lines() =>
    [
        .. Records.SelectMany(OfRecord),
        .. Records.SelectMany(Members).Select(member => Nullable.GetUnderlyingType(member.PropertyType) ?? member.PropertyType)
            .Where(type => type.IsEnum).Distinct().Select(OfEnum),
        .. Types.Where(IsGrain).Where(type => type.IsInterface).SelectMany(OfInterface),
        .. Types.Where(IsGrain).Where(type => type.IsSubclassOf(typeof(Grain))).Select(
            type => $"grain {Name(type)}: {string.Join(", ", type.GetInterfaces().Intersect(Types).Select(Name))}"),
    ];

    /// <summary>What the record itself adds to its base. Orleans counts each one's ids for itself.</summary>
    public static IEnumerable<PropertyInfo> Members(Type record) =>
        record.GetProperties(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
            .Where(property => property.CanWrite).OrderBy(IdOf);

    public static string Name(Type type) =>
        Nullable.GetUnderlyingType(type) is { } value ? Name(value) + "?"
        : type.IsArray ? Name(type.GetElementType()!) + "[]"
        : type.IsGenericType ? $"{type.Name.Split('`')[0]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>"
        : type.GetCustomAttribute<AliasAttribute>(inherit: false)?.Alias ?? type.FullName!;

    private static bool IsGrain(Type type) => type.IsAssignableTo(typeof(IAddressable));

    private static IEnumerable<string> OfRecord(Type record) => Members(record)
        .Select(member => $"{IdOf(member)?.ToString() ?? "without id"} {member.Name} {Name(member.PropertyType)}")
        .Prepend(": " + Name(record.BaseType!)).Select(line => $"record {Name(record)} {line}");

    private static uint? IdOf(PropertyInfo member) => member.GetCustomAttribute<IdAttribute>()?.Id;

    private static string OfEnum(Type type) => $"enum {Name(type)}: " + string.Join(
        ", ", Enum.GetNames(type).Select(name => $"{name} = {Convert.ToInt64(Enum.Parse(type, name))}"));

    private static IEnumerable<string> OfInterface(Type type) => type.GetMethods().Select(OfMethod).Order(StringComparer.Ordinal)
        .Prepend(": " + string.Join(", ", type.GetInterfaces().Select(Name))).Select(line => $"interface {Name(type)} {line}");

    private static string OfMethod(MethodInfo method) =>
        (method.GetCustomAttribute<AliasAttribute>()?.Alias ?? "without alias " + method.Name)
        + $"({string.Join(", ", method.GetParameters().Select(parameter => Name(parameter.ParameterType)))}) -> {Name(method.ReturnType)}"
        + (method.IsDefined(typeof(OneWayAttribute)) ? ", one way" : "");
}
