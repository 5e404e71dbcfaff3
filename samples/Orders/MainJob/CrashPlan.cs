namespace Actors.Orders.MainJob;

/// <summary>Kills silos while the job runs: at random points of the progress, and a random moment after each; with several silos one at a
/// time, and the last time all together. The same seed and orders give the same plan.</summary>
internal sealed class CrashPlan
{
    private static readonly TimeSpan LongestThen = TimeSpan.FromMilliseconds(500);

    private readonly List<Crash> _crashes;
    private readonly int _window;

    /// <param name="crashes">0 or more; none where nothing is left to do.</param>
    /// <param name="ended">Orders that have ended already.</param>
    public CrashPlan(int crashes, int ended, int total, int silos, int seed)
    {
        var (random, left) = (new Random(seed), total - ended);
        // A tenth of the work is left after the last crash, and no order starts that far ahead of the next one: so all of them happen.
        _window = Math.Max(1, left / 10);
        _crashes = [.. Enumerable.Range(0, left == 0 ? 0 : crashes)
            .Select(_ => (int)((left - _window) * random.NextDouble()))
            .Order()
            .Select((after, number) => new Crash(
                ended + after,
                after,
                LongestThen * random.NextDouble(),
                number == crashes - 1 ? [.. Enumerable.Range(0, silos)] : [random.Next(silos)]))];
    }

    /// <summary>Crashes that have happened.</summary>
    public int Kills { get; private set; }

    /// <summary>Returns when the order with this number, from 0, among those left may start.</summary>
    public Task MayStartAsync(int number, CancellationToken cancellation) =>
        Task.WhenAll(_crashes.Where(crash => crash.After + _window <= number).Select(crash => crash.Happened.Task)).WaitAsync(cancellation);

    /// <summary>Returns after the last crash.</summary>
    /// <param name="kill">Kills the silos with these indexes together.</param>
    public async Task RunAsync(Func<IReadOnlyList<int>, Task> kill, JobProgress progress, CancellationToken cancellation)
    {
        foreach (var crash in _crashes)
        {
            await progress.ReachedAsync(crash.At, cancellation);
            await Task.Delay(crash.Then, cancellation);
            await kill(crash.Silos);
            Kills++;
            var silos = string.Join(", ", crash.Silos.Select(silo => $"silo-{silo + 1}"));
            progress.Say($"Kill {Kills} of {_crashes.Count}: {silos}, with {progress.EndedCount} orders ended");
            crash.Happened.SetResult();
        }
    }

    /// <param name="At">Orders that have ended, those of earlier runs included.</param>
    /// <param name="After">Those of this run alone.</param>
    private sealed record Crash(int At, int After, TimeSpan Then, IReadOnlyList<int> Silos)
    {
        public TaskCompletionSource Happened { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
