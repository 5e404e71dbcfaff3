using System.Diagnostics;

namespace Actors.Faults;

/// <summary>Differences between what must be true and what is, by the name of the check.</summary>
internal sealed class Findings
{
    private readonly Dictionary<string, List<string>> _found = [];
    private readonly Dictionary<string, long> _checked = [];

    private readonly Stopwatch _watch = Stopwatch.StartNew();

    /// <summary>The checks whose differences count as found; null: all.</summary>
    public IReadOnlyCollection<string>? Expects { get; set; }

    /// <summary>The difference that was found first, and how long after the start.</summary>
    public (string Check, string What, TimeSpan After)? First { get; private set; }

    public int Count
    {
        get
        {
            lock (_found)
            {
                return _found.Values.Sum(list => list.Count);
            }
        }
    }

    public void Add(string check, string what)
    {
        lock (_found)
        {
            if (Expects?.Any(expected => check.StartsWith(expected, StringComparison.Ordinal)) != false)
            {
                First ??= (check, what, _watch.Elapsed);
            }

            if (!_found.TryGetValue(check, out var list))
            {
                _found[check] = list = [];
            }

            list.Add(what);
        }
    }

    /// <summary>The check looked at so many things more.</summary>
    public void Looked(string check, long at)
    {
        lock (_found)
        {
            _checked[check] = _checked.GetValueOrDefault(check) + at;
        }
    }

    /// <summary>A check that looked at nothing has shown nothing.</summary>
    public void ExpectSomethingEverywhere()
    {
        lock (_found)
        {
            foreach (var (check, _) in _checked.Where(check => check.Value == 0))
            {
                Add(check, "it looked at nothing");
            }
        }
    }

    public void Print()
    {
        lock (_found)
        {
            Console.WriteLine("| check | looked at | differences |");
            Console.WriteLine("|---|---|---|");
            foreach (var check in _checked.Keys.Union(_found.Keys).Order(StringComparer.Ordinal))
            {
                Console.WriteLine($"| {check} | {_checked.GetValueOrDefault(check)} | {_found.GetValueOrDefault(check)?.Count ?? 0} |");
            }

            foreach (var (check, list) in _found)
            {
                list.Take(10).ToList().ForEach(what => Console.WriteLine($"DIFFERENCE {check}: {what}"));
            }
        }
    }
}
