using System.CommandLine;
using Actors.Postgres;
using Npgsql;

namespace Actors.Orders.MainJob;

/// <summary>The main job's options, on the root command: <c>./run [FILE] --crash 5 --silos 3</c>.</summary>
internal static class MainJobCommand
{
    private const int CrashesByDefault = 5;

    internal static void AddTo(RootCommand root)
    {
        var file = new Argument<FileInfo>("FILE")
        {
            Description = "Orders, one JSON object a line. Default: the 1,000 orders of the sample.",
            DefaultValueFactory = _ => new(Path.Combine(AppContext.BaseDirectory, "orders.jsonl")),
        };
        var crash = new Option<int>("--crash")
        {
            Description = $"Kills the silo N times at random moments (default {CrashesByDefault}); of several silos one at a time, the "
                + $"last time all. "
                + "Where all orders have ended, they are run once more under new ids.",
            HelpName = "N",
        };
        var seed = new Option<int?>(
            "--seed") { Description = "Repeats the random moments and troubles of another run. Default: a new one, printed." };
        var silos = new Option<int>("--silos") { Description = "Silo processes, 1 to 9.", DefaultValueFactory = _ => 1 };
        var serve = new Option<bool>("--serve") { Description = "Stays up after the job, and prints the address of the first silo." };
        var stop = new Option<bool>("--stop") { Description = "Ends what an earlier run left, and nothing else." };
        file.Validators.Add(result =>
        {
            if (result.Tokens is [{ Value: ['-', ..] and var unknown }])
            {
                result.AddError($"{unknown} is an unknown option: see --help.");
            }
        });
        Bound(crash, 0, 1_000);
        Bound(silos, 1, 9);
        root.Arguments.Add(file);
        foreach (var option in (Option[])[crash, seed, silos, serve, stop])
        {
            root.Options.Add(option);
        }

        root.SetAction(async (parsed, cancellation) =>
        {
            var folder = Environment.GetEnvironmentVariable("ACTORS_ROOT") is { Length: > 0 } given ? given
                : Directory.GetCurrentDirectory();
            PostgresSettings postgres;
            try
            {
                postgres = PostgresSettings.FromEnvironment(folder);
                _ = new NpgsqlConnectionStringBuilder(postgres.ConnectionString);
            }
            catch (ArgumentException error)
            {
                await Console.Error.WriteLineAsync($"{Variables.PostgresName}, ACTORS_POSTGRES_VERSION: {error.Message}");
                return ExitCodes.Usage;
            }

            if (parsed.GetValue(stop))
            {
                return await MainJob.StopAsync(postgres, Console.Out, cancellation);
            }

            var chosen = parsed.GetValue(seed) ?? Random.Shared.Next(1, 1_000_000);
            var options = new MainJobOptions(
                postgres, parsed.GetValue(file)!.FullName, parsed.GetValue(crash), chosen, parsed.GetValue(silos), parsed.GetValue(serve));
            Console.WriteLine($"Orders of {options.File}, silos: {options.Silos}, crashes: {options.Crashes}, seed: {chosen}");
            return await MainJob.RunAsync(options, Console.Out, terminal: !Console.IsOutputRedirected, cancellation);
        });
    }

    /// <summary>An option's value may be left out only where nothing that follows could be one: <c>--crash FILE</c> means the default and
    /// FILE.</summary>
    internal static string[] WithCrashCount(string[] args) =>
        [.. args.SelectMany((arg, i) => arg == "--crash" && !(i + 1 < args.Length && int.TryParse(args[i + 1], out _))
            ? (string[])[arg, $"{CrashesByDefault}"] : [arg])];

    private static void Bound(Option<int> option, int from, int to) => option.Validators.Add(result =>
    {
        if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out var value) && (value < from || value > to))
        {
            result.AddError($"{option.Name} is {value}: give {from} to {to}.");
        }
    });
}
