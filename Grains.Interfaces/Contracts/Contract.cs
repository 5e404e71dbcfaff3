using System.Collections.Concurrent;
using System.Reflection;

namespace Actors.Calling;

/// <summary>
/// What a contract says, read once for each type, by clients and silos alike: both refuse the same with the same sentence. A workflow class
/// is read as the contract that it implements; one that implements none is its own, without signals and queries.
/// </summary>
internal sealed class Contract
{
    private const int FullNameMax = 1_000;

    private static readonly ConcurrentDictionary<Type, Contract> Known = new();

    private Contract(Type type)
    {
        Type = type;
        var named = type.GetCustomAttribute<WorkflowNameAttribute>(inherit: false);
        Name = NameRule.Checked(named is null ? DefaultName(type) : named.Name, $"The stored name of {type.Name}");
        var own = NameRule.Checked(type.FullName, $"The full name of {type.Name}", FullNameMax);
        FullNames = [.. (named?.Formerly ?? []).Select(Earlier).Prepend(own).Distinct()];
        (Input, Result) = ContractRules.InputAndResult(type);
        var members = ContractRules.Members(type);
        Signals = members.Where(ContractRules.IsSignal).ToDictionary(method => method.Name, StringComparer.Ordinal);
        Queries = members.Where(ContractRules.IsQuery).ToDictionary(method => method.Name, StringComparer.Ordinal);
        Shape = string.Join("; ", members.Select(ShapeOf).Order(StringComparer.Ordinal).Prepend($"{ShapeOf(Input)} -> {ShapeOf(Result)}"));
    }

    /// <summary>The contract's interface; the class where it has none.</summary>
    public Type Type { get; }

    /// <summary>Under which runs are stored: the attribute's, else the interface's name without its I, else the class's name.</summary>
    public string Name { get; }

    /// <summary>Namespace and type, without assembly: what tells two contracts of one stored name apart.</summary>
    public string FullName => FullNames[0];

    /// <summary><see cref="FullName"/>, and those that the contract had earlier.</summary>
    public IReadOnlyList<string> FullNames { get; }

    public Type Input { get; }

    public Type Result { get; }

    public IReadOnlyDictionary<string, MethodInfo> Signals { get; }

    public IReadOnlyDictionary<string, MethodInfo> Queries { get; }

    /// <summary>The signatures of input, result, signals and queries as text that stays the same as long as they do.</summary>
    public string Shape { get; }

    /// <exception cref="ArgumentException">It cannot be a contract; the sentence names the member and the way out.</exception>
    public static Contract Of(Type type) => Known.GetOrAdd(type, Read);

    /// <summary>For a caller whose contract shares its stored name with another one.</summary>
    public WorkflowTypeMismatchException Mismatch() => new(
        $"The workflow name '{Name}' belongs to another contract than {FullName}: give one of them another [WorkflowName], or, if the "
            + $"contract moved, "
        + "name its earlier full name there (Formerly).");

    /// <summary>For a caller whose workflow type this database has not met.</summary>
    public UnknownWorkflowTypeException Unregistered() => new(
        $"No silo has joined this database with the workflow type '{Name}' yet, and nobody has registered it: start a silo that has it, or "
            + $"begin with select * from actors.register_type('{Name}'), in a transaction of its own.");

    private static Contract Read(Type type)
    {
        if (type.IsInterface)
        {
            ContractRules.CheckInterface(type);
            return new Contract(type);
        }

        var contract = ContractRules.ContractOf(type) is { } implemented ? Of(implemented) : new Contract(type);
        ContractRules.CheckClass(type, contract);
        return contract;
    }

    private static string DefaultName(Type type) =>
        type is { IsInterface: true, Name: ['I', >= 'A' and <= 'Z', ..] name } ? name[1..] : type.Name;

    private string Earlier(string name)
    {
        var what = $"An earlier full name of {Type.Name}";
        return !NameRule.Checked(name, what, FullNameMax).Contains(',', StringComparison.Ordinal) ? name
            : throw new ArgumentException($"{what} names an assembly: give namespace and type alone, as Type.FullName does.");
    }

    private static string ShapeOf(MethodInfo method) =>
        $"{(ContractRules.IsSignal(method) ? "signal" : "query")} "
            + $"{method.Name}({string.Join(", ", method.GetParameters().Select(ShapeOf))}) "
        + $"-> {ShapeOf(method.ReturnType)}";

    private static string ShapeOf(ParameterInfo parameter) => ShapeOf(parameter.ParameterType) + (parameter.IsOptional ? "?" : "");

    // Type.FullName of a generic type names the assemblies of its arguments, and so their versions.
    private static string ShapeOf(Type type) => type.IsArray ? ShapeOf(type.GetElementType()!) + "[]"
        : type.IsGenericType
            ? $"{type.GetGenericTypeDefinition().FullName}<{string.Join(", ", type.GetGenericArguments().Select(ShapeOf))}>"
        : type.FullName ?? type.Name;
}
