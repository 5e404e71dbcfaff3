using System.CommandLine;

namespace Actors.Postgres;

/// <summary><c>postgres start</c> and <c>postgres stop</c>: the embedded server by hand, for scripts and tests.</summary>
public static class PostgresCommand
{
    private static readonly Option<DirectoryInfo> Root = new("--root")
    {
        Description = "The folder that holds .actors/.",
        DefaultValueFactory = _ => new(Environment.GetEnvironmentVariable("ACTORS_ROOT") ?? Directory.GetCurrentDirectory()),
    };

    private static readonly Option<string> Name = new("--name") { DefaultValueFactory = _ => "postgres", Description = "Which server." };
    private static readonly Option<int?> Major = new("--major") { Description = "15 or later. Default: the first found; to stop: all." };

    /// <summary>For a program that has other commands as well.</summary>
    public static Command Create()
    {
        var start = new Command("start", "Starts the embedded Postgres, or adopts it where it runs, and prints its connection string.");
        start.SetAction(async (parsed, cancellation) =>
        {
            try
            {
                var server = await EmbeddedPostgres.StartAsync(Settings(parsed), Console.Error.WriteLine, cancellation);
                await Console.Error.WriteLineAsync($"{(server.Adopted ? "adopted" : "started")} {server.Folder}");
                Console.WriteLine(server.ConnectionString);
                return 0;
            }
            catch (PostgresMissingException missing)
            {
                await Console.Error.WriteLineAsync(missing.Message);
                return 3;
            }
        });
        var stop = new Command("stop", "Stops the embedded Postgres, whoever started it.");
        stop.SetAction(async (parsed, cancellation) =>
        {
            foreach (var folder in await EmbeddedPostgres.StopAsync(Settings(parsed), cancellation))
            {
                await Console.Error.WriteLineAsync($"stopped {folder}");
            }
        });
        foreach (var command in (Command[])[start, stop])
        {
            command.Options.Add(Root);
            command.Options.Add(Name);
            command.Options.Add(Major);
        }
        return new Command("postgres", "The embedded Postgres by hand.") { start, stop };
    }

    private static PostgresSettings Settings(ParseResult parsed) =>
        new(parsed.GetValue(Root)!.FullName) { Name = parsed.GetValue(Name)!, Major = parsed.GetValue(Major) };
}
