using System.Collections.Concurrent;
using Actors.Storage;

namespace Actors.Execution;

/// <summary>What <see cref="ReplayCheck"/> found in this process, by run: the first thousand.</summary>
internal sealed class ReplayFindings(ReplayCheck mode)
{
    private const int Max = 1_000;

    private readonly ConcurrentDictionary<long, string> _found = new();

    public ReplayCheck Mode => mode;

    public void Add(long instance, string difference)
    {
        if (_found.Count < Max)
        {
            _found[instance] = difference;
        }
    }

    public string? Of(StoredRun run) => _found.GetValueOrDefault(run.Instance);

    /// <exception cref="ReplayDifferenceException">In the mode that throws.</exception>
    public void ThrowIfAny(StoredRun run)
    {
        if (mode == ReplayCheck.Throw && Of(run) is { } difference)
        {
            throw new ReplayDifferenceException(difference);
        }
    }
}
