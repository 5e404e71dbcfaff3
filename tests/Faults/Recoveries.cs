using System.Globalization;

namespace Actors.Faults;

/// <summary>How long it took after each fault until every workflow that ran went on, until a new call had its answer, and until what had
/// been published was delivered.</summary>
internal sealed class Recoveries
{
    private readonly SortedDictionary<string, Kind> _kinds = new(StringComparer.Ordinal);

    private readonly SortedDictionary<string, int> _notDone = new(StringComparer.Ordinal);

    /// <summary>The fault could not be done, so it shows nothing.</summary>
    public void NotDone(string fault) => _notDone[fault] = _notDone.GetValueOrDefault(fault) + 1;

    /// <param name="goal">Seconds.</param>
    public void Add(string fault, int? goal, bool fromBeginning, TimeSpan moved, TimeSpan called, TimeSpan delivered)
    {
        if (!_kinds.TryGetValue(fault, out var kind))
        {
            _kinds[fault] = kind = new Kind(goal, fromBeginning);
        }

        kind.Moved.Add(moved);
        kind.Called.Add(called);
        kind.Delivered.Add(delivered);
    }

    public void Print()
    {
        Console.WriteLine("| fault | times | counted from its | all went on after s: p50 | at most | goal | a new call answered after s: "
            + "p50 | at most | messages delivered s after the end: p50 | at most |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|");
        foreach (var (name, kind) in _kinds)
        {
            var most = kind.Moved.Max();
            var goal = kind.Goal is not { } seconds ? "" : most <= TimeSpan.FromSeconds(seconds) ? $"{seconds}"
                : $"{seconds}: {kind.Moved.Count(time => time > TimeSpan.FromSeconds(seconds))} were longer";
            Console.WriteLine($"| {name} | {kind.Moved.Count} | {(kind.FromBeginning ? "beginning" : "end")} | {Median(kind.Moved)} | "
                + $"{Text(most)} | {goal} | {Median(kind.Called)} | {Text(kind.Called.Max())} | {Median(kind.Delivered)} | "
                + $"{Text(kind.Delivered.Max())} |");
        }

        foreach (var (name, times) in _notDone)
        {
            Console.WriteLine($"{name} could not be done {times} times.");
        }
    }

    private static string Median(List<TimeSpan> times) => Text(times.Order().ElementAt(times.Count / 2));

    public static string Text(TimeSpan time) =>
        time == TimeSpan.MaxValue ? "never" : time.TotalSeconds.ToString("F1", CultureInfo.InvariantCulture);

    private sealed record Kind(int? Goal, bool FromBeginning)
    {
        public List<TimeSpan> Moved { get; } = [];

        public List<TimeSpan> Called { get; } = [];

        public List<TimeSpan> Delivered { get; } = [];
    }
}
