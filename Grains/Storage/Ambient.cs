using System.Globalization;
using System.Transactions;

namespace Actors.Storage;

/// <summary>
/// The boundary between callers and the engine. What surrounds a caller (transaction, culture, request, trace, locals, scheduler) stays
/// with it: what the engine does is done for many, and user code must see the same whoever set it going.
/// </summary>
internal static class Ambient
{
    private static readonly ExecutionContext Nothing = Capture(() => { });

    private static readonly ExecutionContext Invariant = Capture(
        () => (CultureInfo.CurrentCulture, CultureInfo.CurrentUICulture) = (CultureInfo.InvariantCulture, CultureInfo.InvariantCulture));

    /// <summary>Nothing surrounds the calling code: the engine may go on here.</summary>
    public static bool IsNothing => ReferenceEquals(ExecutionContext.Capture(), Nothing) && IsFree;

    // What does not go with the execution context stays with the thread.
    private static bool IsFree =>
        SynchronizationContext.Current is null && TaskScheduler.Current == TaskScheduler.Default && !HasTransaction;

    private static bool HasTransaction
    {
        get
        {
            try
            {
                return Transaction.Current is not null;
            }
            catch (InvalidOperationException)
            {
                return true; // Its scope is complete, and not disposed yet.
            }
        }
    }

    /// <summary>Makes the call with nothing around it: on this thread if that is free, else on one of the thread pool.</summary>
    public static Task<T> LeaveAsync<T>(Func<Task<T>> call) => IsNothing ? call() : CallOutsideAsync(call);

    private static Task<T> CallOutsideAsync<T>(Func<Task<T>> call)
    {
        Task<T> task = null!;
        ExecutionContext.Run(Nothing, _ => task = IsFree ? call() : Task.Run(call), null);
        return task;
    }

    /// <summary>On a thread of the engine or the thread pool, before and after user code: whatever other code has left there
    /// goes.</summary>
    public static void Drop() => Restore(Nothing);

    /// <summary>The same before a workflow's own code, which runs under the invariant culture: a run that moves writes numbers and dates as
    /// before.</summary>
    public static void EnterCode() => Restore(Invariant);

    private static void Restore(ExecutionContext context)
    {
        ExecutionContext.Restore(context);
        if (HasTransaction)
        {
            Transaction.Current = null; // Of a scope that was made for one thread, and whose code has gone on on another.
        }
    }

    private static ExecutionContext Capture(Action set)
    {
        ExecutionContext? captured = null;
        var thread = new Thread(() =>
        {
            set();
            captured = ExecutionContext.Capture();
        });
        thread.UnsafeStart(); // Takes nothing of this thread's along.
        thread.Join();
        return captured!;
    }
}
