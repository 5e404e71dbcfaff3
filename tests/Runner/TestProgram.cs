using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;
using Actors.Support;

namespace Actors.Runner;

/// <summary>One test project's program on one Postgres.</summary>
internal sealed partial record TestProgram(string Project, int? Major, string[] Arguments)
{
    private static readonly ConcurrentDictionary<Process, bool> Running = new();

    /// <summary>That no test was found is a failure.</summary>
    public bool MustRun { get; init; }

    /// <summary>Gets the processor where others leave it.</summary>
    public bool YieldsToOthers { get; init; }

    public string Name => (Major is null ? Project : $"{Project} (Postgres {Major})") + string.Concat(
        Arguments.Select(argument => $" {argument}"));

    /// <param name="streams">Its words are passed on as they come; else as one piece at its end.</param>
    public async Task<Outcome> RunAsync(bool all, bool streams)
    {
        var program = Path.Combine(
            TestPostgres.RepositoryFolder, "tests", Project, "bin", "Release", "net10.0",
            $"Actors.{Project}{(OperatingSystem.IsWindows() ? ".exe" : "")}");
        var report = Path.GetTempFileName();
        try
        {
            var said = new List<string> { $"== {Name}" };
            Action<string> say = streams ? Console.WriteLine : said.Add;
            var watch = Stopwatch.StartNew();
            var code = await RunAsync(program, report, all, line =>
            {
                if (!ChatterPattern().IsMatch(line))
                {
                    say(line);
                }
            });
            var outcome = Outcome.Read(report, watch.Elapsed);
            if (outcome.Failed == 0 && (code != 0 || (MustRun && outcome.Passed == 0)))
            {
                say(code != 0 ? $"{program} ended with code {code}." : $"{program} ran no test.");
                outcome = outcome with { Failed = 1 };
            }

            if (!streams)
            {
                Console.WriteLine(string.Join('\n', said));
            }

            return outcome;
        }
        finally
        {
            File.Delete(report);
        }
    }

    /// <summary>No program runs when this returns, nor what one has started.</summary>
    public static void EndAll()
    {
        foreach (var process in Running.Keys)
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }
    }

    private async Task<int> RunAsync(string program, string report, bool all, Action<string> hear)
    {
        var start = new ProcessStartInfo(
            program, ["-noLogo", "-noColor", "-xml", report, .. Arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["ACTORS_POSTGRES_VERSION"] = Major?.ToString(CultureInfo.InvariantCulture);
        start.Environment[TestTier.Variable] = all ? TestTier.All : null;
        var process = Process.Start(start)!;    // Not disposed: EndAll may have it in hand.
        Running[process] = true;
        if (YieldsToOthers)
        {
            process.PriorityClass = ProcessPriorityClass.BelowNormal;
        }

        var heard = new Lock();
        await Task.WhenAll(new[] { process.StandardOutput, process.StandardError }.Select(async reader =>
        {
            while (await reader.ReadLineAsync() is { } line)
            {
                lock (heard)
                {
                    hear(line);
                }
            }
        }));
        await process.WaitForExitAsync();
        Running.TryRemove(process, out _);
        return process.ExitCode;
    }

    [GeneratedRegex("^  (Discovering|Discovered|Starting|Finished): |^=== TEST EXECUTION|Total: 0$")]
    private static partial Regex ChatterPattern();
}

/// <summary>What a program's report says.</summary>
/// <param name="Time">Of the whole program.</param>
/// <param name="Failures">The name of each test that failed, and why.</param>
internal sealed record Outcome(
    int Passed, int Failed, int Skipped, TimeSpan Time, IReadOnlyList<(string Name, double Seconds)> Tests, IReadOnlyList<string> Failures)
{
    /// <summary>A program that died has no report, and no test.</summary>
    public static Outcome Read(string file, TimeSpan time)
    {
        try
        {
            var assemblies = XDocument.Load(file).Descendants("assembly").ToList();
            int Sum(string name) => assemblies.Sum(assembly => (int?)assembly.Attribute(name) ?? 0);
            return new(Sum("passed"), Sum("failed") + Sum("errors"), Sum("skipped"), time,
                [.. assemblies.Descendants("test").Select(test => ((string)test.Attribute("name")!, (double)test.Attribute("time")!))],
                [.. assemblies.Descendants("failure").Select(failure =>
                    $"{(string?)(failure.Parent!.Attribute("name") ?? failure.Parent.Attribute("type"))}: {(string?)failure.Element("message")}")]);
        }
        catch (XmlException)
        {
            return new(0, 0, 0, time, [], []);
        }
    }
}
