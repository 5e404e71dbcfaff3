using System.Reflection;

namespace Actors.Calling;

/// <summary>Types that cannot travel as JSON, whatever value they have: System.Text.Json refuses them, or loses what they hold.</summary>
internal static class CarriedTypes
{
    public static bool IsTask(Type type) =>
        type == typeof(ValueTask) || typeof(Task).IsAssignableFrom(type) || Is(type, typeof(ValueTask<>));

    /// <summary>The rest of a sentence that says why not, with the way out; null for a type that may travel.</summary>
    public static string? Fault(Type type) =>
        type.IsPointer || type.IsFunctionPointer || type.IsByRef || type.IsByRefLike || type == typeof(nint) || type == typeof(nuint)
            ? $"is {type.Name}, memory of this process: pass a value"
        : typeof(Delegate).IsAssignableFrom(type) ? $"is the delegate {type.Name}, and code cannot be stored: pass what it would decide by"
        : type == typeof(CancellationToken)
            ? "is a CancellationToken, and what is stored cannot be cancelled: leave it out, callers give theirs to the handle"
        : IsTask(type) ? $"is {type.Name}, which is no value yet: use the value"
        : Is(type, typeof(IAsyncEnumerable<>)) || Array.Exists(type.GetInterfaces(), i => Is(i, typeof(IAsyncEnumerable<>)))
            ? $"is {type.Name}, a stream: use a list"
        : type.FullName?.StartsWith("System.ValueTuple", StringComparison.Ordinal) == true
            ? "is a tuple, whose fields JSON loses: declare a record"
        : typeof(MemberInfo).IsAssignableFrom(type) || typeof(Stream).IsAssignableFrom(type) || (type.IsArray && type.GetArrayRank() > 1)
            ? $"is {type.Name}, which JSON cannot carry: pass what it stands for as a record, a list or a string"
        : type.IsArray ? Fault(type.GetElementType()!)
        : type.IsGenericType ? type.GetGenericArguments().Select(Fault).FirstOrDefault(fault => fault is not null)
        : null;

    private static bool Is(Type type, Type definition) => type.IsGenericType && type.GetGenericTypeDefinition() == definition;
}
