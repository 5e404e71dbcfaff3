using System.CommandLine;

namespace Actors.Silo;

/// <summary>How the processes of this program live: a line <c>READY id url</c> when they serve, an end on SIGTERM, Ctrl-C, or with their
/// starter.</summary>
internal static class Lifetime
{
    internal static Option<bool> Option() => new("--until-stdin-ends") { Hidden = true };

    internal static async Task RunAsync(WebApplication app, Guid id, bool untilStdinEnds, CancellationToken cancellation)
    {
        await app.StartAsync(cancellation);
        Console.WriteLine($"READY {id} {app.Urls.First()}");
        if (untilStdinEnds)
        {
            _ = Task.Run(
                async () =>
                {
                    await Console.OpenStandardInput().CopyToAsync(Stream.Null, CancellationToken.None);
                    app.Lifetime.StopApplication();
                },
                CancellationToken.None);
        }

        await app.WaitForShutdownAsync(cancellation);
    }
}
