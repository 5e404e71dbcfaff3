using Actors.Postgres;

namespace Actors.Support;

/// <summary>An embedded Postgres that a test may stop and kill: no other test knows its name. At its end its folder is deleted, and
/// nothing beside it.</summary>
public sealed class OwnPostgres : IAsyncDisposable
{
    private readonly HashSet<string> _made = [];

    public PostgresSettings Settings { get; private init; } = TestPostgres.Settings with
    {
        ConnectionString = null,
        OutlivesMachine = true,
        Name = $"test-own-{Guid.NewGuid():n}",
    };

    /// <summary>With its files under another folder than the clone.</summary>
    public static OwnPostgres In(string root) => new() { Settings = new OwnPostgres().Settings with { RootFolder = root } };

    public async Task<PostgresServer> StartAsync(Action<string>? say = null, CancellationToken cancellation = default)
    {
        var server = await EmbeddedPostgres.StartAsync(Settings, say, cancellation);
        _made.Add(server.Folder!);
        return server;
    }

    /// <returns>The folder of the server, if it ran.</returns>
    public async Task<string?> StopAsync(CancellationToken cancellation = default)
    {
        var stopped = (await EmbeddedPostgres.StopAsync(Settings, cancellation)).SingleOrDefault();
        if (stopped is not null)
        {
            _made.Add(stopped);     // A program that the test ran may have started it.
        }

        return stopped;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        foreach (var folder in _made)
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
