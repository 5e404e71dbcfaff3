using System.Diagnostics;
using System.Globalization;
using Actors.Faults;

// A campaign of faults against real processes: ./faults [--seed N] [--minutes M] [--only NAME] | --every-commit [NAME,…]. Exit 0: no difference; 1: a difference; 3: something missing.
switch (args)
{
    case ["silo", var name, .. var ports]:
        var at = ports.Select(Number).ToArray();
        return await FaultSilo.RunAsync(name, at[0], at[1], at[2], at[3], at[4]);
    case ["sink", var file, var port]:
        await EffectSink.RunAsync(file, Number(port));
        return 0;
    case ["--every-commit"]:
        return await EveryCommit.RunAsync(null);
    case ["--every-commit", var names]:
        return await EveryCommit.RunAsync(names);
    case ["--only", "bad clients"]:
        return await BadClients.RunAsync(Environment.GetEnvironmentVariable("ACTORS_ROOT") ?? Directory.GetCurrentDirectory());
}

var (seed, minutes, only) = (Environment.TickCount, 3.0, default(string));
for (var i = 0; i < args.Length; i += 2)
{
    if (i + 1 == args.Length
        || !(args[i] switch
        {
            "--seed" => int.TryParse(args[i + 1], out seed),
            "--minutes" => double.TryParse(args[i + 1], CultureInfo.InvariantCulture, out minutes) && minutes > 0,
            "--only" => (only = args[i + 1]).Split(',').All(Nemesis.Names.Contains),
            _ => false,
        }))
    {
        Console.Error.WriteLine($"Usage: ./faults [--seed N] [--minutes M] [--only NAME,…] | --every-commit [NAME,…], where NAME is one of: {string.Join(", ", Nemesis.Names)}, or alone: bad clients");
        return 2;
    }
}

var root = Environment.GetEnvironmentVariable("ACTORS_ROOT") ?? Directory.GetCurrentDirectory();
Console.WriteLine($"seed {seed}, {minutes.ToString(CultureInfo.InvariantCulture)} minutes, {only ?? "all faults"}; logs in {Path.Combine(root, ".actors", "faults-run")}");
Rig rig;
try
{
    rig = await Rig.StartAsync(root);
}
catch (Actors.Hosting.PostgresMissingException missing)
{
    Console.Error.WriteLine(missing.Message);
    return 3;
}

await using var processes = rig;
var findings = new Findings();
var load = new Load(rig, seed, findings);
var checks = new Checks(rig, load, findings);
var nemesis = new Nemesis(rig, load, seed);
using var calm = new CancellationTokenSource();
var money = checks.WatchMoneyAsync(calm.Token);
load.Start();
await nemesis.RunAsync(TimeSpan.FromMinutes(minutes), only);

var healed = Stopwatch.StartNew();
var ended = await load.EndAsync(TimeSpan.FromSeconds(120));
Console.WriteLine($"healed: everything ended after {healed.Elapsed.TotalSeconds:F1} s{(ended ? "" : " - NOT")}");
while (await rig.ScalarAsync<long>("select count(*) from actors.outbox") > 0 && healed.Elapsed < TimeSpan.FromSeconds(180))
{
    await Task.Delay(100);
}

await calm.CancelAsync();
await money;
await checks.AfterAsync(ended);

Console.WriteLine();
Console.WriteLine("| fault | times | recovery p50 s | at most s |");
Console.WriteLine("|---|---|---|---|");
foreach (var (name, times) in nemesis.Recoveries.OrderBy(pair => pair.Key, StringComparer.Ordinal))
{
    var sorted = times.Order().ToList();
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name} | {sorted.Count} | {sorted[sorted.Count / 2].TotalSeconds:F1} | {sorted[^1].TotalSeconds:F1} |"));
    if (sorted[^1] == TimeSpan.MaxValue)
    {
        findings.Add("recovers", $"no workflow ended within 90 s after: {name}");
    }
}

Console.WriteLine();
Console.WriteLine($"{load.History.Count} workflows, {load.Repeats} calls repeated");
findings.Print();
Console.WriteLine($"{findings.Count} differences; seed {seed}");
return findings.Count == 0 ? 0 : 1;

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
