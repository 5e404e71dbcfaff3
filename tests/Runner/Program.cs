using System.Runtime.InteropServices;
using Actors.Postgres;
using Actors.Runner;
using Actors.Support;

// What ./test runs after its build: the test programs, on one Postgres or two, and what their reports say together.
const string Usage = "Usage: ./test [--all] [PROJECT [ARGUMENT of xunit …]]";
var all = args is ["--all", ..];
var rest = all ? args[1..] : args;
if (rest is [var first, ..] && !File.Exists(Path.Combine(TestPostgres.RepositoryFolder, "tests", first, $"{first}.csproj")))
{
    Console.Error.WriteLine($"{Usage}\nThere is no test project '{first}'.");
    return 2;
}

using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, End);
using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, End);
var summary = new Summary();
try
{
    var plan = Plan.For(all, rest);
    foreach (var major in plan.Majors)
    {
        await TestPostgres.ServerAsync(major);
    }

    using var progress = plan.Lanes.Count == 1 ? null
        : new Timer(_ => Console.Error.WriteLine(summary.Progress), null, Summary.SayEvery, Summary.SayEvery);
    await Task.WhenAll(plan.Lanes.Select(async lane =>
    {
        foreach (var program in lane)
        {
            summary.Begin(program);
            summary.Add(program, await program.RunAsync(all, streams: plan.Lanes.Count == 1));
        }
    }));
}
catch (Exception missing) when (missing is PostgresMissingException or InvalidOperationException or ArgumentException)
{
    summary.AddFailure(missing.Message);
}

return summary.Print();

// The servers are stopped at the exit, if nobody uses them any more.
static void End(PosixSignalContext signal)
{
    TestProgram.EndAll();
    Environment.Exit(signal.Signal == PosixSignal.SIGINT ? 130 : 143);
}
