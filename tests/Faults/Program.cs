using System.Globalization;
using System.Runtime.InteropServices;
using Actors.Faults;

// A campaign of faults against real processes: ./faults [--seed N] [--minutes M] [--only NAME,…] | --every-commit [NAME,…]. Exit 0: no
// difference; 1: a difference; 3: something missing.
switch (args)
{
    case ["silo", var name, .. var ports]:
        var at = ports.Select(Number).ToArray();
        return await FaultSilo.RunAsync(name, at[0], at[1], at[2], at[3], at[4], at[5]);
    case ["sink", var file, var port]:
        await EffectSink.RunAsync(file, Number(port));
        return 0;
    case ["--every-commit"]:
        return await UnlessMissingAsync(() => EveryCommit.RunAsync(null));
    case ["--every-commit", var names]:
        return await UnlessMissingAsync(() => EveryCommit.RunAsync(names));
    case ["--only", "bad clients"]:
        return await UnlessMissingAsync(() => BadClients.RunAsync(Root()));
    case ["--planted", var bug]:
        return await UnlessMissingAsync(() => PlantedBugs.RunAsync(Root(), bug, seed: 1));
    case ["--planted", var bug, "--seed", var number]:
        return await UnlessMissingAsync(() => PlantedBugs.RunAsync(Root(), bug, Number(number)));
}

var asked = CampaignOptions.Parse(args);
if (asked is null)
{
    Console.Error.WriteLine(CampaignOptions.Usage);
    return 2;
}

return await UnlessMissingAsync(() => CampaignAsync(asked));

static async Task<int> CampaignAsync(CampaignOptions asked)
{
    var root = Root();
    Console.WriteLine($"{asked}; logs in {Path.Combine(root, ".actors", "faults-run")}");
    await using var rig = await Rig.StartAsync(
        root, new Dictionary<string, string> { [Rig.ProfileVariable] = asked.Profile }, asked.NeedsSmallDisk);
    using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal => End(signal, rig));
    using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => End(signal, rig));
    var campaign = new Campaign(rig, asked.Seed);
    Nemesis nemesis = null!;
    await campaign.RoundAsync(load => asked.RunAsync(nemesis = new Nemesis(rig, load, asked.Seed)), TimeSpan.FromSeconds(120));
    return campaign.Report(nemesis, whole: asked is { Only: null, Schedule: null });
}

static async Task<int> UnlessMissingAsync(Func<Task<int>> play)
{
    try
    {
        return await play();
    }
    catch (Exception missing) when (missing is Actors.Postgres.PostgresMissingException or NotSupportedException)
    {
        Console.Error.WriteLine(missing.Message);
        return 3;
    }
}

// Without any report: the processes end with this one, and Postgres is stopped.
static void End(PosixSignalContext signal, Rig rig)
{
    signal.Cancel = true;
    foreach (var silo in rig.Silos)
    {
        silo.IsHeldDown = true;
        silo.Process.Kill(); // A frozen one would not hear that its input has ended.
    }

    rig.Servers.DisposeAsync().AsTask().Wait(TimeSpan.FromSeconds(30));
    Console.WriteLine("Stopped before the end.");
    System.Diagnostics.Process.GetCurrentProcess().Kill();
}

static string Root() => Environment.GetEnvironmentVariable("ACTORS_ROOT") ?? Directory.GetCurrentDirectory();

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
