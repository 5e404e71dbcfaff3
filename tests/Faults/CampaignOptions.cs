using System.Globalization;

namespace Actors.Faults;

/// <summary>What the command line of a campaign asks for.</summary>
internal sealed record CampaignOptions
{
    public static string Usage => $"""
        Usage: ./faults [--seed N] [--minutes M] [--only NAME,…] [--schedule FILE] [--profile tight|default] | --every-commit [NAME,…] | --only "bad clients"
          --schedule FILE  the faults of an earlier campaign, by what it printed, in the same order and not before their time
          --profile        the silos' membership: tight (as the goals ask), or as Orleans has it
          --only "disk full"  takes root: Postgres lies on a disk of memory; alone or with others but failover, and never without being asked for
        NAME is one of: {string.Join(", ", Nemesis.Names)}
        """;

    public int Seed { get; private init; } = Environment.TickCount;

    public TimeSpan Duration { get; private init; } = TimeSpan.FromMinutes(3);

    public IReadOnlyCollection<string>? Only { get; private init; }

    public IReadOnlyList<(TimeSpan At, string Name)>? Schedule { get; private init; }

    public string Profile { get; private init; } = nameof(MembershipProfile.Tight);

    /// <summary>Null: not like this.</summary>
    public static CampaignOptions? Parse(string[] args)
    {
        var options = new CampaignOptions();
        for (var i = 0; i < args.Length; i += 2)
        {
            var value = i + 1 < args.Length ? args[i + 1] : "";
            var next = args[i] switch
            {
                "--seed" when int.TryParse(value, CultureInfo.InvariantCulture, out var seed) => options with { Seed = seed },
                "--minutes" when double.TryParse(value, CultureInfo.InvariantCulture, out var minutes) && minutes is > 0 and < 10_000 =>
                    options with { Duration = TimeSpan.FromMinutes(minutes) },
                "--only" when value.Split(',').All(Nemesis.Names.Contains) => options with { Only = value.Split(',') },
                "--schedule" when File.Exists(value) && Nemesis.ReadSchedule(File.ReadLines(value)) is { Count: > 0 } schedule =>
                    options with { Schedule = schedule },
                "--profile" when Enum.TryParse<MembershipProfile>(value, ignoreCase: true, out var profile) =>
                    options with { Profile = $"{profile}" },
                _ => null,
            };
            if (next is null)
            {
                return null;
            }

            options = next;
        }

        return options.NeedsSmallDisk && options.Kinds.Contains("failover") ? null : options; // The standby lies on another disk.
    }

    public bool NeedsSmallDisk => Kinds.Contains(Nemesis.DiskFull);

    private IEnumerable<string> Kinds => Only ?? Schedule?.Select(fault => fault.Name) ?? [];

    public Task RunAsync(Nemesis nemesis) =>
        Schedule is null ? nemesis.RunAsync(Duration, Only ?? Nemesis.NamesFor(Duration)) : nemesis.RunAsync(Schedule);

    public override string ToString() =>
        $"seed {Seed}, {(Schedule is null ? string.Create(CultureInfo.InvariantCulture, $"{Duration.TotalMinutes} minutes") : $"{Schedule.Count} faults as they were")}, "
        + $"{(Only is null ? "all faults" : string.Join(", ", Only))}, membership {Profile}";
}
