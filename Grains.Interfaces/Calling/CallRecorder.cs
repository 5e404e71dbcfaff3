using System.Reflection;

namespace Actors.Calling;

/// <summary>Stands in for a contract while a lambda calls one of its methods, and remembers which one and with what.</summary>
public class CallRecorder : DispatchProxy
{
    private MethodInfo? _method;
    private object?[] _arguments = [];

    /// <summary>The one call that <paramref name="action"/> makes.</summary>
    /// <exception cref="UnknownMethodException">It makes none, or the method is not marked with <typeparamref name="TMark"/>.</exception>
    internal static (MethodInfo Method, object?[] Arguments) Record<TContract, TMark>(Action<TContract> action)
        where TContract : class
        where TMark : Attribute
    {
        var proxy = Create<TContract, CallRecorder>();
        action(proxy);
        var recorder = (CallRecorder)(object)proxy;
        if (recorder._method is not { } method)
        {
            throw new UnknownMethodException($"The lambda calls no method of {typeof(TContract).Name}.");
        }

        return method.GetCustomAttribute<TMark>() is null
            ? throw new UnknownMethodException($"{typeof(TContract).Name}.{method.Name} is not marked [{typeof(TMark).Name[..^"Attribute".Length]}].")
            : (method, recorder._arguments);
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        (_method, _arguments) = (targetMethod, args ?? []);
        var returned = targetMethod!.ReturnType;
        return returned == typeof(Task) ? Task.CompletedTask
            : returned.IsValueType && returned != typeof(void) ? Activator.CreateInstance(returned)
            : null;
    }
}
