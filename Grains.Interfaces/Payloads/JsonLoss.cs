using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Reflection;
using System.Reflection.Emit;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Actors.Calling;

/// <summary>
/// Whether what a type holds comes back from JSON, told by its metadata once: every field of its instances is reached by a member that is
/// written and read. Converters are trusted. What may be lost is marked [JsonIgnore] or [NonSerialized].
/// </summary>
internal static class JsonLoss
{
    private const BindingFlags Declared = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    private static readonly Type[] Stacks =
    [
        typeof(Stack<>), typeof(ConcurrentStack<>), typeof(ImmutableStack<>), typeof(IImmutableStack<>), typeof(System.Collections.Stack),
    ];

    // Ordered by hashes, which are others in each process: code that goes through them does something else after a move.
    private static readonly Type[] Unordered =
    [
        typeof(ImmutableHashSet<>), typeof(IImmutableSet<>), typeof(ImmutableDictionary<,>), typeof(IImmutableDictionary<,>),
    ];

    // Of the collections without a type of element those that come back, with JsonElements.
    private static readonly Type[] Untyped =
    [
        typeof(System.Collections.IEnumerable), typeof(System.Collections.ICollection), typeof(System.Collections.IList),
        typeof(System.Collections.ArrayList), typeof(System.Collections.Queue),
    ];

    private static readonly ConcurrentDictionary<Type, string?> Known = new();

    /// <summary>The rest of a sentence that names the member and the way out; null where nothing is lost.</summary>
    public static string? Fault(Type type) => Known.GetOrAdd(type, static type => Look(type, []));

    private static string? Look(Type type, HashSet<Type> seen)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (!seen.Add(type) || type == typeof(object))
        {
            return null; // An object comes back as the JsonElement that it was written as.
        }

        if (CarriedTypes.Fault(type) is { } uncarried)
        {
            return uncarried;
        }

        JsonTypeInfo info;
        try
        {
            info = CarriedJson.Options.GetTypeInfo(type);
        }
        catch (Exception error) when (error is NotSupportedException or InvalidOperationException)
        {
            return $"is {type.Name}, which JSON cannot carry ({error.Message})";
        }

        return info.Kind switch
        {
            JsonTypeInfoKind.Object => LookAtObject(info, seen),
            JsonTypeInfoKind.Enumerable => LookAtCollection(info, "[]") ?? Look(info.ElementType!, seen),
            JsonTypeInfoKind.Dictionary => LookAtCollection(info, "{}") ?? Look(info.KeyType!, seen) ?? Look(info.ElementType!, seen),
            _ => null, // A converter has it.
        };
    }

    private static string? LookAtObject(JsonTypeInfo info, HashSet<Type> seen)
    {
        var type = info.Type;
        var derived = info.PolymorphismOptions?.DerivedTypes ?? [];
        if (derived.Select(one => Look(one.DerivedType, seen)).FirstOrDefault(fault => fault is not null) is { } ofDerived)
        {
            return ofDerived;
        }

        var nameless = derived.Where(one => one.TypeDiscriminator is null && one.DerivedType != type).ToList();
        if (nameless is [{ DerivedType.Name: var unnamed }, ..])
        {
            return $"is {type.Name}, whose {unnamed} JSON cannot tell from others: "
                + $"give it a name, [JsonDerivedType(typeof({unnamed}), \"…\")]";
        }

        if (type.IsAbstract)
        {
            if (derived.Count > 0)
            {
                return null;
            }

            return $"is {type.Name}, of which JSON cannot tell what it was: declare the type itself, or mark it [JsonDerivedType(…)]";
        }

        if (info.CreateObject is null && info.ConstructorAttributeProvider is null)
        {
            return $"is {type.Name}, which cannot be read back: give it a public constructor, or mark one [JsonConstructor]";
        }

        for (var part = type; part is not null && part != typeof(object) && part != typeof(ValueType); part = part.BaseType)
        {
            if (part.GetFields(Declared).FirstOrDefault(field => IsLost(field, info)) is { } lost)
            {
                return $"is {type.Name}, and {Name(lost)} would be lost in JSON: "
                    + "make it a property with a setter or a parameter of the constructor, mark it [JsonInclude], "
                    + "or [JsonIgnore] ([NonSerialized] for a field) where it may be";
            }
        }

        if (LookAtReading(info) is { } unread)
        {
            return unread;
        }

        // What is computed is only written, and what a converter has is its own.
        return info.Properties.Where(property => ComesBack(property) && !property.IsExtensionData && property.CustomConverter is null)
            .Select(property => Look(property.PropertyType, seen)).FirstOrDefault(fault => fault is not null);
    }

    /// <summary>Of what is written: whether it can be made again, with what it had.</summary>
    private static string? LookAtReading(JsonTypeInfo info)
    {
        var parameters = (info.ConstructorAttributeProvider as ConstructorInfo)?.GetParameters() ?? [];
        var bound = info.Properties.Select(json => json.AssociatedParameter?.Position).ToHashSet();
        if (Array.Find(parameters, parameter => !bound.Contains(parameter.Position)) is { } unbound)
        {
            return $"is {info.Type.Name}, and no property has the name and type of its constructor's parameter '{unbound.Name}', "
                + "so it cannot be read back: give it its property's, or mark another constructor [JsonConstructor]";
        }

        var leftOut = info.Properties.Where(json =>
            Ignored(json.AttributeProvider) is JsonIgnoreCondition.WhenWritingDefault or JsonIgnoreCondition.WhenWritingNull).ToList();
        return leftOut.Find(json => json.IsRequired) is { } required
            ? $"is {info.Type.Name}, whose {required.Name} is required and not always written, so it cannot be read back: "
                + "take one of both away"
            : leftOut.Count > 0 && BeginsOtherwise(info, leftOut) is { } begins
            ? $"is {info.Type.Name}, whose {begins.Name} is not written when it has its type's default, and begins with another value: "
                + "take one of both away"
            : null;
    }

    /// <summary>A member of these that a new object has with another value than the one for which it is left out, and that may get that
    /// one.</summary>
    private static JsonPropertyInfo? BeginsOtherwise(JsonTypeInfo info, List<JsonPropertyInfo> leftOut)
    {
        try
        {
            return info.CreateObject?.Invoke() is { } made
                ? leftOut.Find(json => json is { Get: { } get, Set: not null, AssociatedParameter: null } && get(made) is { } value
                    && (json.PropertyType.IsValueType ? !value.Equals(Activator.CreateInstance(json.PropertyType)) : json.IsGetNullable))
                : null;
        }
        catch (Exception)
        {
            return null; // Its constructor or getter has a mind of its own.
        }
    }

    /// <summary>More than its elements does not come back, nor what cannot be filled.</summary>
    private static string? LookAtCollection(JsonTypeInfo info, string empty)
    {
        var type = info.Type;
        if (IsStack(type))
        {
            return $"is {type.Name}, which comes back upside down: use a list";
        }

        if (type.IsGenericType && Unordered.Contains(type.GetGenericTypeDefinition()))
        {
            return $"is {type.Name}, whose order is another in each process: use a list, a sorted collection, a HashSet or a Dictionary";
        }

        if (info.Kind == JsonTypeInfoKind.Dictionary ? info.KeyType == typeof(object) || !IsTyped(type)
            : !IsTyped(type) && !Untyped.Contains(type))
        {
            return $"is {type.Name}, whose elements or keys have no type to come back as: use a collection that names it";
        }

        if (BesideElements(type) is { } lost)
        {
            return $"is {type.Name}, and {lost} would be lost in JSON, which carries the elements of a collection alone: "
                + "declare a type that has the collection";
        }

        try
        {
            return JsonSerializer.Deserialize(empty, info) is System.Collections.IEnumerable made && made.GetEnumerator().MoveNext()
                ? $"is {type.Name}, which has elements when it is made: they would come back twice" : null;
        }
        catch (NotSupportedException)
        {
            return $"is {type.Name}, which cannot be read back: use a list, an array or a dictionary";
        }
        catch (Exception)
        {
            return null; // It wants elements.
        }
    }

    /// <summary>A member that a collection has beside its elements, which JSON does not carry; null where there is none.</summary>
    public static string? BesideElements(Type type)
    {
        for (var part = type; part is { Namespace: not null } && !IsOfTheRuntime(part); part = part.BaseType)
        {
            if (part.GetFields(Declared).FirstOrDefault(field => !MayBeLost(field)) is { } lost
                && typeof(System.Collections.IEnumerable).IsAssignableFrom(part.BaseType))
            {
                return Name(lost);
            }
        }

        return null;
    }

    private static bool IsStack(Type? type) => type is not null
        && (Stacks.Contains(type.IsGenericType ? type.GetGenericTypeDefinition() : type) || IsStack(type.BaseType));

    private static bool IsLost(FieldInfo field, JsonTypeInfo info)
    {
        if (MayBeLost(field))
        {
            return false;
        }

        var carried = info.Properties.Where(ComesBack).ToList();

        if (AutoProperty(field) is { } property)
        {
            return Ignored(property) is not JsonIgnoreCondition.Always && !carried.Exists(json => IsOf(json, property));
        }

        // A parameter of a primary constructor that the class's methods use.
        if (field.Name is ['<', .. var parameter, '>', 'P'] && carried.Exists(json => json.AssociatedParameter?.Name == parameter))
        {
            return false;
        }

        return !carried.Exists(json => IsOf(json, field) || (json.AttributeProvider is PropertyInfo reads && Touches(reads, field)));
    }

    private static bool ComesBack(JsonPropertyInfo json) => json.Get is not null
        && (json.Set is not null || json.AssociatedParameter is not null || json.IsExtensionData || IsFilled(json));

    private static bool IsFilled(JsonPropertyInfo json) => json.ObjectCreationHandling == JsonObjectCreationHandling.Populate
        || (json.AttributeProvider is MemberInfo { DeclaringType: { } owner }
            && owner.IsDefined(typeof(JsonObjectCreationHandlingAttribute)));

    // Marked so; and who listens to an event is no state.
    private static bool MayBeLost(FieldInfo field) => field.IsDefined(typeof(NonSerializedAttribute))
        || Ignored(field) is JsonIgnoreCondition.Always || typeof(Delegate).IsAssignableFrom(field.FieldType);

    private static JsonIgnoreCondition? Ignored(ICustomAttributeProvider? member) =>
        (member as MemberInfo)?.GetCustomAttribute<JsonIgnoreAttribute>()?.Condition;

    private static bool IsTyped(Type type) => type.IsGenericType
        || Array.Exists(type.GetInterfaces(), one => one.IsGenericType && one.GetGenericTypeDefinition() == typeof(IEnumerable<>));

    private static bool IsOf(JsonPropertyInfo json, MemberInfo member) =>
        json.AttributeProvider is MemberInfo one && one.Name == member.Name
        && (one.DeclaringType == member.DeclaringType || Overrides(one, member));

    // Of a property that is overridden the metadata names the last one.
    private static bool Overrides(MemberInfo one, MemberInfo member) =>
        one is PropertyInfo last && member is PropertyInfo first
        && last.GetMethod?.GetBaseDefinition() == first.GetMethod?.GetBaseDefinition();

    private static PropertyInfo? AutoProperty(FieldInfo field) =>
        field.Name is ['<', ..] && field.Name.IndexOf(">k__BackingField", StringComparison.Ordinal) is > 1 and var end
            ? field.DeclaringType!.GetProperty(field.Name[1..end], Declared) : null;

    private static string Name(FieldInfo field) => $"{field.DeclaringType!.Name}.{AutoProperty(field)?.Name ?? field.Name}";

    private static bool IsOfTheRuntime(Type type) =>
        type.Assembly == typeof(object).Assembly || type.Namespace!.StartsWith("System", StringComparison.Ordinal);

    /// <summary>Whether the getter reads the field, by its code: looked for at every byte, which may find one too many and misses
    /// none.</summary>
    private static bool Touches(PropertyInfo? property, FieldInfo field)
    {
        if (property is null)
        {
            return false;
        }

        const BindingFlags Inherited = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
        if (property.GetMethod is { IsVirtual: true }
            && Touches(property.DeclaringType!.BaseType?.GetProperty(property.Name, Inherited), field))
        {
            return true; // The override may go on to it.
        }

        var code = property.GetMethod?.GetMethodBody()?.GetILAsByteArray() ?? [];
        for (var at = 0; at + 5 <= code.Length; at++)
        {
            if ((code[at] == OpCodes.Ldfld.Value || code[at] == OpCodes.Ldflda.Value)
                && Resolve(property, BitConverter.ToInt32(code, at + 1)) is { } read
                && read.Name == field.Name && read.DeclaringType?.Name == field.DeclaringType!.Name)
            {
                return true;
            }
        }

        return false;
    }

    private static FieldInfo? Resolve(PropertyInfo property, int token)
    {
        try
        {
            return property.Module.ResolveField(token, property.DeclaringType!.GetGenericArguments(), null);
        }
        catch (Exception error) when (error is ArgumentException or BadImageFormatException or MissingFieldException or TypeLoadException)
        {
            return null; // It was no token.
        }
    }
}
