using Actors.Hosting;

namespace Actors.Support;

/// <summary>An embedded Postgres that a test may stop and kill: no other test knows its name. At its end its folder is deleted, and nothing beside it.</summary>
/// <param name="root">Default: the clone.</param>
public sealed class OwnPostgres(string? root = null) : IAsyncDisposable
{
    private readonly HashSet<string> _made = [];

    public PostgresSettings Settings { get; } = TestPostgres.Settings with
    {
        RootFolder = root ?? TestPostgres.RepositoryFolder,
        ConnectionString = null,
        Name = $"test-own-{Guid.NewGuid():n}",
    };

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
