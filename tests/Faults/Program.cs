using System.Globalization;
using Actors.Faults;

// A campaign of faults against real processes: ./faults [--seed N] [--minutes M] [--only NAME]. Exit 0: no difference; 1: a difference; 3: something missing.
switch (args)
{
    case ["silo", var name, var siloPort, var gatewayPort, var sinkPort]:
        return await FaultSilo.RunAsync(name, Number(siloPort), Number(gatewayPort), Number(sinkPort));
    case ["sink", var file, var port]:
        await EffectSink.RunAsync(file, Number(port));
        return 0;
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
            "--only" => Nemesis.Names.Contains(only = args[i + 1]),
            _ => false,
        }))
    {
        Console.Error.WriteLine($"Usage: ./faults [--seed N] [--minutes M] [--only NAME], where NAME is one of: {string.Join(", ", Nemesis.Names)}");
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
await campaign.RoundAsync(load => (nemesis = new Nemesis(rig, load, seed)).RunAsync(TimeSpan.FromMinutes(minutes), only is null ? Nemesis.Names : [only]), TimeSpan.FromSeconds(120));
return campaign.Report(nemesis);

static string Root() => Environment.GetEnvironmentVariable("ACTORS_ROOT") ?? Directory.GetCurrentDirectory();

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
