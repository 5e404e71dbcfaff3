using System.Reflection;

namespace Actors.Calling;

/// <summary>What a contract may be. What would be ignored, or found out at the first call, is refused where it is read.</summary>
internal static class ContractRules
{
    private const BindingFlags Declared =
        BindingFlags.DeclaredOnly | BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;

    public static bool IsSignal(MethodInfo method) => method.IsDefined(typeof(SignalAttribute), inherit: false);

    public static bool IsQuery(MethodInfo method) => method.IsDefined(typeof(QueryAttribute), inherit: false);

    private static bool IsMarked(MethodInfo method) => IsSignal(method) || IsQuery(method);

    /// <summary>The one contract that a concrete class implements; null when there is none.</summary>
    public static Type? ContractOf(Type implementation)
    {
        if (implementation.IsAbstract || implementation.ContainsGenericParameters)
        {
            throw new ArgumentException(
                $"{implementation.Name} is not a concrete class, so no run can be one: "
                + "register and call a class that is.");
        }

        var all = implementation.GetInterfaces().Where(IsContract).ToList();
        var contracts = all.Where(one => !all.Exists(other => other != one && one.IsAssignableFrom(other))).ToList();
        return contracts.Count <= 1 ? contracts.FirstOrDefault() : throw new ArgumentException(
            $"{implementation.Name} implements {contracts.Count} contracts ({string.Join(", ", contracts.Select(one => one.Name))}): a "
                + $"workflow has one.");
    }

    public static void CheckInterface(Type contract)
    {
        if (!IsContract(contract))
        {
            throw new ArgumentException($"{contract.Name} is no contract: declare an interface that extends IWorkflow<TInput, TResult>.");
        }

        if (contract.IsGenericType)
        {
            throw new ArgumentException(
                $"{contract.Name} is generic, and the name under which runs are stored is not: "
                + "declare an interface for each type that it takes.");
        }

        if (contract.GetInterfaces().FirstOrDefault(IsContract) is { } other)
        {
            throw new ArgumentException(
                $"{contract.Name} extends the contract {other.Name}, and a workflow has one: "
                + $"let {other.Name} not extend IWorkflow, or declare its members in {contract.Name}.");
        }

        if (OwnAndExtended(contract).FirstOrDefault(method => method.IsAbstract && !IsMarked(method)) is { } unmarked)
        {
            throw new ArgumentException(
                $"{unmarked.DeclaringType!.Name}.{unmarked.Name} is marked neither [Signal] nor [Query], so nobody could call it: "
                + "mark it, or take it out of the contract.");
        }
    }

    public static void CheckClass(Type implementation, Contract contract)
    {
        if (contract.Type == implementation && implementation.IsGenericType)
        {
            throw new ArgumentException(
                $"{implementation.Name} is generic, and the name under which runs are stored is not: "
                + "let it implement a contract, an interface that is not generic.");
        }

        if (contract.Type != implementation && implementation.IsDefined(typeof(WorkflowNameAttribute), inherit: false))
        {
            throw new ArgumentException(
                $"{implementation.Name} bears a [WorkflowName], and callers know its contract alone: "
                + $"put it on {contract.Type.Name}.");
        }

        if (InputAndResult(implementation) != (contract.Input, contract.Result))
        {
            throw new ArgumentException(
                $"{implementation.Name} and its contract {contract.Type.Name} take or return different types: "
                + "let both name the same.");
        }

        var beside = implementation.GetInterfaces().Where(one => contract.Type == implementation || !one.IsAssignableFrom(contract.Type));
        if (beside.SelectMany(one => one.GetMethods(Declared)).FirstOrDefault(IsMarked) is { } unseen)
        {
            var owner = unseen.DeclaringType!.Name;
            throw new ArgumentException(
                $"{implementation.Name} implements {owner}, whose {unseen.Name} is marked, and callers know its contract alone: "
                + (contract.Type != implementation ? $"let {contract.Type.Name} extend {owner}."
                    : $"let {owner} extend IWorkflow<{contract.Input.Name}, {contract.Result.Name}>."));
        }

        if (Marked(implementation).FirstOrDefault(method => !Implements(implementation, method, contract)) is { } alone)
        {
            var place = contract.Type != implementation ? contract.Type.Name
                : $"an interface that extends IWorkflow<{contract.Input.Name}, {contract.Result.Name}>";
            throw new ArgumentException(
                $"{implementation.Name}.{alone.Name} is marked on the class, and callers know its contract alone: declare and mark it in "
                    + $"{place}.");
        }
    }

    public static (Type Input, Type Result) InputAndResult(Type type)
    {
        var bases = type.GetInterfaces().Where(IsTyped).ToList();
        if (bases.Count != 1)
        {
            throw new ArgumentException(
                $"{type.Name} extends IWorkflow<TInput, TResult> {bases.Count} times: "
                + "a workflow takes one input and has one result, so extend it once.");
        }

        var arguments = bases[0].GetGenericArguments();
        CheckCarried(arguments[0], $"{type.Name}: its input");
        CheckCarried(arguments[1], $"{type.Name}: its result");
        return (arguments[0], arguments[1]);
    }

    /// <summary>The signals and queries of a contract and of the interfaces that it extends.</summary>
    public static List<MethodInfo> Members(Type contract)
    {
        var members = new Dictionary<string, MethodInfo>(StringComparer.Ordinal);
        foreach (var method in contract.IsInterface ? OwnAndExtended(contract).Where(IsMarked) : [])
        {
            var name = $"{contract.Name}.{method.Name}";
            CheckKind(method, name);
            CheckReturned(method, name);
            CheckParameters(method, name);
            if (!members.TryAdd(method.Name, method))
            {
                throw new ArgumentException(
                    $"{name} is overloaded, and a signal or query is found by its name alone: "
                    + "give each a name of its own.");
            }
        }

        return [.. members.Values];
    }

    /// <summary>The methods of a contract and of the interfaces that it extends, IWorkflow's aside.</summary>
    private static IEnumerable<MethodInfo> OwnAndExtended(Type contract) => contract.GetInterfaces()
        .Where(one => one != typeof(IWorkflow) && !IsTyped(one)).Append(contract).SelectMany(one => one.GetMethods(Declared));

    private static void CheckKind(MethodInfo method, string name)
    {
        if (NameRule.Broken(method.Name, $"{name}: the name of a signal or query") is { } sentence)
        {
            throw new ArgumentException(sentence);
        }

        if (IsSignal(method) && IsQuery(method))
        {
            throw new ArgumentException(
                $"{name} is marked [Signal] and [Query]: "
                + "a signal changes the workflow, a query only reads it, so choose one.");
        }

        if (method.IsStatic || !method.IsPublic || method.IsSpecialName)
        {
            throw new ArgumentException(
                $"{name} is {(method.IsStatic ? "static" : method.IsPublic ? "an accessor" : "not public")}: "
                + "mark public methods of an instance alone.");
        }

        if (method.IsGenericMethod)
        {
            throw new ArgumentException(
                $"{name} is generic, and its stored arguments do not say with what types it was called: "
                + "declare a method for each.");
        }
    }

    private static void CheckReturned(MethodInfo method, string name)
    {
        var returned = method.ReturnType;
        if (IsSignal(method))
        {
            if (returned != typeof(Task))
            {
                throw new ArgumentException(
                    $"{name} returns {returned.Name}: a signal returns Task and no value; ask for one with a query.");
            }
        }
        else if (returned == typeof(void) || returned.IsByRef || CarriedTypes.IsTask(returned))
        {
            throw new ArgumentException(
                $"{name} returns {returned.Name}: a query reads the workflow's fields at once and returns a value, not a task, nothing or "
                    + $"a reference.");
        }
        else
        {
            CheckCarried(returned, $"{name}: its value");
        }
    }

    private static void CheckParameters(MethodInfo method, string name)
    {
        foreach (var parameter in method.GetParameters())
        {
            if (parameter.ParameterType.IsByRef)
            {
                throw new ArgumentException(
                    $"{name}: parameter '{parameter.Name}' is ref, in or out, and a call is stored as JSON: "
                    + "pass a value.");
            }

            CheckCarried(parameter.ParameterType, $"{name}: parameter '{parameter.Name}'");
        }
    }

    private static void CheckCarried(Type type, string what)
    {
        if (JsonLoss.Fault(type) is { } fault)
        {
            throw new ArgumentException($"{what} {fault}.");
        }
    }

    private static bool IsTyped(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IWorkflow<,>);

    private static bool IsContract(Type type) => typeof(IWorkflow).IsAssignableFrom(type) && type != typeof(IWorkflow) && !IsTyped(type);

    private static IEnumerable<MethodInfo> Marked(Type? implementation) => implementation is null ? []
        : implementation.GetMethods(Declared).Where(IsMarked).Concat(Marked(implementation.BaseType));

    /// <summary>Whether a method of the class stands for one of the contract that bears the same mark.</summary>
    private static bool Implements(Type implementation, MethodInfo method, Contract contract) =>
        (IsSignal(method) ? contract.Signals : contract.Queries).Values.Any(declared =>
        {
            var map = implementation.GetInterfaceMap(declared.DeclaringType!);
            return map.TargetMethods[Array.IndexOf(map.InterfaceMethods, declared)].GetBaseDefinition() == method.GetBaseDefinition();
        });
}
