using System.Collections.Concurrent;
using System.Diagnostics;
using Actors.Postgres;
using Npgsql;

namespace Actors.Support;

/// <summary>
/// The servers of the tests: <c>ACTORS_POSTGRES</c>, else one embedded server for each major version, shared by all test programs of
/// this clone that run at the same time. The last program that uses it stops it; <c>./test</c> uses it from the first test program to the
/// last.
/// </summary>
public static class TestPostgres
{
    private static readonly ConcurrentDictionary<int, Lazy<Task<PostgresServer>>> Servers = new();

    /// <summary>The folder of the clone, which holds Actors.sln.</summary>
    public static string RepositoryFolder { get; } = FindRepository();

    /// <summary>The settings that <see cref="ServerAsync"/> follows. Tests kill processes: what those wrote, the system keeps.</summary>
    public static PostgresSettings Settings { get; } = PostgresSettings.FromEnvironment(
        RepositoryFolder) with { Name = "test", OutlivesMachine = false };

    /// <summary>A server that accepts connections, started on the first call of this process.</summary>
    /// <param name="major">The version wanted. Default: what <c>ACTORS_POSTGRES_VERSION</c> says, else the first found.</param>
    public static Task<PostgresServer> ServerAsync(int? major = null)
    {
        var wanted = major ?? Settings.Major;
        return Servers.GetOrAdd(wanted ?? 0, _ => new(() => StartAsync(Settings with { Major = wanted }))).Value;
    }

    private static async Task<PostgresServer> StartAsync(PostgresSettings settings)
    {
        if (settings.ConnectionString is not null)
        {
            return await EmbeddedPostgres.StartAsync(settings);
        }
        var users = Path.Combine(RepositoryFolder, ".actors", "test.users");
        Directory.CreateDirectory(Path.GetDirectoryName(users)!);
        FileStream? used;
        while ((used = FileLock.TryTake(users, FileShare.Read)) is null)
        {
            await Task.Delay(50);       // another program stops the servers just now
        }
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Leave(used, users);
        var server = await EmbeddedPostgres.StartAsync(settings, Console.Error.WriteLine);
        await DropLeftBehindAsync(server.ConnectionString);
        return server;
    }

    private static void Leave(FileStream used, string users)
    {
        used.Dispose();
        using var last = FileLock.TryTake(users, FileShare.None);
        if (last is not null)
        {
            EmbeddedPostgres.StopAsync(Settings with { Major = null }).GetAwaiter().GetResult();
        }
    }

    /// <summary>Databases are named after the process that made them: one that was killed could not drop its own.</summary>
    private static async Task DropLeftBehindAsync(string connectionString)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        var names = new List<string>();
        await using (var find = source.CreateCommand("select datname from pg_database where datname like 'test\\_%'"))
        await using (var reader = await find.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                names.Add(reader.GetString(0));
            }
        }
        foreach (var name in names.Where(name => !IsAlive(int.Parse(name.Split('_')[1]))))
        {
            await using var drop = source.CreateCommand($"drop database if exists {name} with (force)");
            await drop.ExecuteNonQueryAsync();
        }
    }

    private static bool IsAlive(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static string FindRepository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Actors.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException($"No Actors.sln in or above {AppContext.BaseDirectory}.");
        }
        return folder.FullName;
    }
}
