using System.Collections.Concurrent;
using Xunit;

namespace Actors.Outbox;

/// <summary>Keeps what it was given. Tests await a number of deliveries, and say how single messages fail.</summary>
internal sealed class RecordingSink(Func<OutboxMessage, CancellationToken, Task>? behave = null) : OneByOneSink
{
    private readonly Lock _lock = new();
    private readonly List<OutboxMessage> _delivered = [];
    private readonly List<(int Count, TaskCompletionSource Reached)> _waiters = [];

    public ConcurrentQueue<OutboxMessage> Attempts { get; } = new();

    public IReadOnlyList<OutboxMessage> Delivered
    {
        get
        {
            lock (_lock)
            {
                return [.. _delivered];
            }
        }
    }

    public IEnumerable<string> Texts => Delivered.Select(Text);

    public static string Text(OutboxMessage message) => System.Text.Encoding.UTF8.GetString(message.Json.Span);

    public override async Task DeliverAsync(OutboxMessage message, CancellationToken cancellation)
    {
        Attempts.Enqueue(message);
        if (behave is not null)
        {
            await behave(message, cancellation);
        }

        lock (_lock)
        {
            _delivered.Add(message);
            foreach (var (_, reached) in _waiters.Where(waiter => _delivered.Count >= waiter.Count))
            {
                reached.TrySetResult();
            }
        }
    }

    public async Task UntilDeliveredAsync(int count)
    {
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (_delivered.Count >= count)
            {
                return;
            }

            _waiters.Add((count, reached));
        }

        await Task.WhenAny(reached.Task, Task.Delay(TimeSpan.FromSeconds(30)));
        Assert.True(reached.Task.IsCompleted, $"delivery number {count} did not come, {Delivered.Count} did");
    }
}
