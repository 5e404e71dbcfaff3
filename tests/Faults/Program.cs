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
        return await BadClients.RunAsync(Root());
#if PLANTED_BUGS
    case ["--planted", var bug]:
        return await PlantedBugs.RunAsync(Root(), bug, seed: 1);
    case ["--planted", var bug, "--seed", var number]:
        return await PlantedBugs.RunAsync(Root(), bug, Number(number));
#endif
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

var root = Root();
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
var campaign = new Campaign(rig, seed);
Nemesis nemesis = null!;
await campaign.RoundAsync(load => (nemesis = new Nemesis(rig, load, seed)).RunAsync(TimeSpan.FromMinutes(minutes), only?.Split(',') ?? Nemesis.Names), TimeSpan.FromSeconds(120));
return campaign.Report(nemesis);

static string Root() => Environment.GetEnvironmentVariable("ACTORS_ROOT") ?? Directory.GetCurrentDirectory();

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
