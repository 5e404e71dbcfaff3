using System.Threading.Channels;

namespace Actors.Storage;

/// <summary>
/// Hands over together what became ready while the last group was under way. A lonely item goes at once: no timer waits for company.
/// </summary>
/// <param name="lanes">Groups under way at the same time.</param>
/// <param name="sizeMax">Items in one group.</param>
/// <param name="handle">Must answer every item of its group, whatever happens, and not throw.</param>
internal sealed class Grouping<T>(int lanes, int sizeMax, Func<List<T>, Task> handle) : IAsyncDisposable
{
    // Whoever adds to an idle lane builds and sends the group on its own thread: a thread less to wake.
    private readonly Channel<T> _items = Channel.CreateUnbounded<T>(
        new UnboundedChannelOptions { SingleReader = lanes == 1, AllowSynchronousContinuations = true });
    private Task[] _running = [];

    /// <summary>What an item adds to its group, whose weight grows past <see cref="WeightMax"/> by one item at most. Default nothing.</summary>
    public Func<T, int> Weigh { get; init; } = _ => 0;

    public long WeightMax { get; init; } = long.MaxValue;

    public void Start() => _running = [.. Enumerable.Range(0, lanes).Select(_ => Task.Run(RunAsync))];

    /// <summary>False after the end: the caller answers the item itself.</summary>
    public bool TryAdd(T item) => _items.Writer.TryWrite(item);

    /// <summary>Takes nothing more, and returns when every group is answered.</summary>
    public async ValueTask DisposeAsync()
    {
        _items.Writer.TryComplete();
        await Task.WhenAll(_running);
    }

    private async Task RunAsync()
    {
        var reader = _items.Reader;
        while (await reader.WaitToReadAsync())
        {
            var group = new List<T>();
            var weight = 0L;
            while (group.Count < sizeMax && weight < WeightMax && reader.TryRead(out var item))
            {
                group.Add(item);
                weight += Weigh(item);
            }

            if (group.Count > 0)
            {
                await handle(group);
            }
        }
    }
}
