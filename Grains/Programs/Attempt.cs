using Microsoft.Extensions.DependencyInjection;

namespace Actors.Programs;

/// <summary>
/// One try of a body, with a cancellation of its own. Whatever ends it first is its outcome: what its body returns or throws later is not
/// heard. All but <see cref="Token"/>, <see cref="Begin"/> and its services belongs to the run's thread.
/// </summary>
/// <param name="run">Whose key it is.</param>
internal sealed class Attempt(BodyCommand command, Guid run, IServiceScopeFactory services) : IAttempt
{
    private static readonly object Over = new();

    private object? _scope; // Made when a body asks for it: most never do. In the end Over.
    private CancellationTokenSource? _cancellation; // Made when a body asks for it: most never do.
    private int _cancelled;
    private long _begunAt;

    public BodyCommand Command => command;

    public int Number { get; } = command.Failures + 1;

    public string IdempotencyKey => field ??= $"{run:N}-{command.Seq}-{NameHash(command.Name):x8}";

    /// <summary>When its body began, by the process's own clock; zero while it waits for a connection, which has no limit.</summary>
    public long BegunAt => Volatile.Read(ref _begunAt);

    /// <summary>Looks at the attempt when its time is up, where that is soon.</summary>
    public ITimer? Timer { get; set; }

    public bool IsCancelled => _cancelled != 0;

    /// <summary>True once the body of a transaction has returned: what is left is the engine's, and has no limit.</summary>
    public bool IsReady { get; set; }

    public IServiceProvider Services
    {
        get
        {
            if (Volatile.Read(ref _scope) is null)
            {
                var made = services.CreateAsyncScope();
                if (Interlocked.CompareExchange(ref _scope, made, null) is not null)
                {
                    made.Dispose(); // Another thread of the body was first, or the body is over; nothing was taken from it.
                }
            }

            return Volatile.Read(ref _scope) is AsyncServiceScope scope
                ? scope.ServiceProvider : throw new ObjectDisposedException(nameof(Services), "The body has ended.");
        }
    }

    public CancellationToken Token
    {
        get
        {
            var cancellation = _cancellation ?? Interlocked.CompareExchange(
                ref _cancellation, new CancellationTokenSource(), null) ?? _cancellation;
            if (Volatile.Read(ref _cancelled) != 0)
            {
                cancellation.Cancel();
            }

            return cancellation.Token;
        }
    }

    public void Begin(long now) => Volatile.Write(ref _begunAt, now);

    /// <summary>The body has returned. What a service throws when it is disposed of is thrown here.</summary>
    public ValueTask EndScopeAsync() => Interlocked.Exchange(ref _scope, Over) is AsyncServiceScope scope ? scope.DisposeAsync() : default;

    public void Cancel()
    {
        if (Interlocked.Exchange(ref _cancelled, 1) == 0)
        {
            _ = _cancellation?.CancelAsync(); // Callbacks are users': they may throw, and must not hold this up.
        }
    }

    /// <summary>FNV-1a over UTF-16: stored outside, so it never changes.</summary>
    private static uint NameHash(string name)
    {
        var hash = 2166136261;
        foreach (var unit in name)
        {
            hash = (hash ^ (uint)(unit & 0xFF)) * 16777619;
            hash = (hash ^ (uint)(unit >> 8)) * 16777619;
        }

        return hash;
    }
}
