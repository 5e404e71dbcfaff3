using System.Diagnostics;
using System.Globalization;

namespace Actors.Runner;

/// <summary>What all programs say together: the last lines of <c>./test</c>.</summary>
internal sealed class Summary
{
    public static readonly TimeSpan SayEvery = TimeSpan.FromSeconds(10);

    private const int SlowestCount = 10;
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly List<TestProgram> _running = [];
    private readonly List<(TestProgram Program, Outcome Outcome)> _outcomes = [];
    private int _failures;

    /// <summary>What runs now.</summary>
    public string Progress
    {
        get
        {
            lock (_outcomes)
            {
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"Testing, {_watch.Elapsed.TotalSeconds:F0} s: {string.Join("; ", _running.Select(program => program.Name))}");
            }
        }
    }

    public void Begin(TestProgram program)
    {
        lock (_outcomes)
        {
            _running.Add(program);
        }
    }

    public void Add(TestProgram program, Outcome outcome)
    {
        lock (_outcomes)
        {
            _running.Remove(program);
            _outcomes.Add((program, outcome));
        }
    }

    /// <summary>Something kept programs from running.</summary>
    public void AddFailure(string message)
    {
        Console.WriteLine(message);
        _failures++;
    }

    /// <returns>The exit code.</returns>
    public int Print()
    {
        Console.WriteLine("== Seconds");
        _outcomes.ForEach(part => Line(part.Outcome.Time.TotalSeconds, part.Program.Name));
        Console.WriteLine("== The slowest tests");
        foreach (var test in _outcomes.SelectMany(part => part.Outcome.Tests).OrderByDescending(test => test.Seconds).Take(SlowestCount))
        {
            Line(test.Seconds, test.Name);
        }

        var failed = _failures + _outcomes.Sum(part => part.Outcome.Failed);
        foreach (var failure in _outcomes.SelectMany(part => part.Outcome.Failures))
        {
            Console.WriteLine($"Failed: {failure}");
        }

        if (_outcomes.Sum(part => part.Outcome.Skipped) is var skipped and > 0)
        {
            Console.WriteLine($"{skipped} skipped");
        }

        Console.WriteLine($"{_outcomes.Sum(part => part.Outcome.Passed)} passed, {failed} failed");
        return failed == 0 ? 0 : 1;
    }

    private static void Line(double seconds, string what) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{seconds,7:F1}  {what}"));
}
