using System.Reflection;

namespace Actors.Calling;

/// <summary>Stands in for a contract while a lambda calls one of its methods, and remembers which one and with what.</summary>
internal class CallRecorder : DispatchProxy
{
    private readonly List<(MethodInfo Method, object?[] Arguments)> _calls = [];

    private object? _given;

    /// <summary>The one call that <paramref name="lambda"/> makes. What it does with the call's result shows only as far as a default value
    /// tells.</summary>
    /// <exception cref="ArgumentException">It is not exactly one call whose result it returns as it is. What it throws before the call
    /// comes as it is.</exception>
    /// <exception cref="UnknownMethodException">The method is not marked with <typeparamref name="TMark"/>.</exception>
    internal static (MethodInfo Method, object?[] Arguments) Record<TContract, TMark, TReturned>(Func<TContract, TReturned> lambda)
        where TContract : class
        where TMark : Attribute
    {
        if (!typeof(TContract).IsInterface)
        {
            throw new ArgumentException(
                $"{typeof(TContract).Name} is a class, and calls go by an interface: take the handle by its contract, "
                    + $"Get<{Contract.Of(typeof(TContract)).Type.Name}>.");
        }

        var proxy = Create<TContract, CallRecorder>();
        var recorder = (CallRecorder)(object)proxy;
        object? returned;
        try
        {
            returned = lambda(proxy);
        }
        catch (Exception error) when (recorder._calls.Count > 0)
        {
            throw NotOneCall<TContract, TMark>(recorder, error);
        }

        if (recorder._calls is not [var call])
        {
            throw NotOneCall<TContract, TMark>(recorder, (returned as Task)?.Exception?.InnerException);
        }

        if (call.Method.GetCustomAttribute<TMark>() is null)
        {
            throw new UnknownMethodException($"{typeof(TContract).Name}.{call.Method.Name} is not marked [{MarkName<TMark>()}].");
        }

        return typeof(TReturned).IsAssignableFrom(call.Method.ReturnType) && Equals(returned, recorder._given) ? call
            : throw NotOneCall<TContract, TMark>(recorder, (returned as Task)?.Exception?.InnerException);
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        _calls.Add((targetMethod!, args ?? []));
        var returned = targetMethod!.ReturnType;
        return _given = returned == typeof(Task) ? Task.CompletedTask
            : returned.IsValueType && returned != typeof(void) ? Activator.CreateInstance(returned)
            : null;
    }

    private static ArgumentException NotOneCall<TContract, TMark>(CallRecorder recorder, Exception? inner)
    {
        var method = recorder._calls is [var first, ..] ? first.Method.Name : "Method";
        return new ArgumentException(
            $"The lambda must be exactly one call of a [{MarkName<TMark>()}] method of {typeof(TContract).Name}, its result returned as it "
                + $"is. Nothing was sent. "
            + $"Write w => w.{method}(…), "
            + (typeof(TMark) == typeof(QueryAttribute) ? "and compute with what QueryAsync returns."
                : "and a SignalAsync of its own for each signal."),
            inner);
    }

    private static string MarkName<TMark>() => typeof(TMark).Name[..^"Attribute".Length];
}
