using System.Diagnostics;
using System.Globalization;
using Actors.Postgres;
using Npgsql;

namespace Actors.Faults;

/// <summary>The campaign's Postgres: one server, and for a failover its standby, which is the server from then on.</summary>
internal sealed class PostgresServers(PostgresSettings settings) : IAsyncDisposable
{
    private static readonly string[] Names = ["faults", "faults-b"];

    private string _name = Names[0];
    private string? _smallDisk;

    /// <summary>Of the server that is to be asked now.</summary>
    public int Port { get; private set; }

    public string Folder { get; private set; } = "";

    public string Password => File.ReadAllText(Path.Combine(Folder, "password"));

    private PostgresSettings Current => settings with { Name = _name, ConnectionString = null };

    /// <summary>What an earlier campaign left, however it ended, is gone; the server runs when this returns.</summary>
    /// <param name="smallDisk">Its files lie on a disk of memory that can be filled. Takes root.</param>
    /// <returns>Its connection string.</returns>
    public async Task<string> BeginAsync(bool smallDisk)
    {
        await StopAllAsync();
        var home = (await PostgresHome.ChooseAsync(settings.RootFolder, _ => { }, CancellationToken.None)).Folder;
        foreach (var left in Names.SelectMany(name => Directory.GetDirectories(home, $"{name}-1?")))
        {
            await RunAsync("umount", left);
            Delete(left);
        }

        var server = await StartAsync();
        if (!smallDisk)
        {
            return server;
        }

        await StopAsync();
        Delete(Folder);
        Directory.CreateDirectory(Folder);
        _smallDisk = await RunAsync("mount", "-t", "tmpfs", "-o", "size=1500m", "tmpfs", Folder) == 0
            ? Folder
            : throw new NotSupportedException("A disk of memory cannot be mounted here: it takes root. Skipped.");
        return await StartAsync();
    }

    public async Task<string> StartAsync()
    {
        var server = await EmbeddedPostgres.StartAsync(Current, Console.Error.WriteLine);
        Folder = server.Folder!;
        Port = new NpgsqlConnectionStringBuilder(server.ConnectionString).Port;
        return server.ConnectionString;
    }

    public Task StopAsync() => EmbeddedPostgres.StopAsync(Current with { Major = null });

    /// <summary>The postmaster ends by this signal, and with it whatever it started.</summary>
    public async Task EndAsync(string signal)
    {
        var id = int.Parse(File.ReadLines(Path.Combine(Folder, "data", "postmaster.pid")).First(), CultureInfo.InvariantCulture);
        using var postmaster = Process.GetProcessById(id);
        await RunAsync("kill", $"-{signal}", $"{id}");
        await postmaster.WaitForExitAsync();
    }

    /// <summary>A standby is made that every commit waits for; then the server is killed, and the standby takes its place.</summary>
    public async Task FailOverAsync(TimeSpan together)
    {
        var old = Folder;
        await using var primary = NpgsqlDataSource.Create(ConnectionString(Port));
        await CopyAsync(primary);
        _name = OtherName;
        var server = await EmbeddedPostgres.StartAsync(Current);
        await ExecuteAsync(primary, "alter system set synchronous_standby_names = 'standby'");
        await ExecuteAsync(primary, "select pg_reload_conf()");
        await WaitAsync(primary,
            "select exists (select from pg_stat_replication where application_name = 'standby' and sync_state = 'sync')");
        await Task.Delay(together);
        await EndAsync("KILL");
        Folder = server.Folder!;
        Port = new NpgsqlConnectionStringBuilder(server.ConnectionString).Port;
        await using var standby = NpgsqlDataSource.Create(ConnectionString(Port));
        await ExecuteAsync(standby, "select pg_promote(true, 60)");
        await WaitAsync(standby, "select not pg_is_in_recovery()");
        Delete(old);
    }

    /// <summary>No byte is left on the server's disk for so long. It may have ended of it: afterwards it runs.</summary>
    public async Task FillDiskAsync(TimeSpan duration)
    {
        var ballast = Path.Combine(Folder, "ballast");
        await RunAsync("dd", "if=/dev/zero", $"of={ballast}", "bs=64k");
        await Task.Delay(duration);
        File.Delete(ballast);
        await StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAllAsync(); // A failover that did not come to its end leaves two.
        if (_smallDisk is { } mounted)
        {
            await RunAsync("umount", mounted);
            Delete(mounted);
        }
    }

    private string OtherName => Names.First(name => name != _name);

    private string Sibling => Path.Combine(Path.GetDirectoryName(Folder)!, OtherName + Path.GetFileName(Folder)[_name.Length..]);

    private async Task StopAllAsync()
    {
        foreach (var name in Names)
        {
            await EmbeddedPostgres.StopAsync(settings with { Name = name, Major = null });
        }
    }

    /// <summary>A base backup of the running server beside it, that follows it once it is started.</summary>
    private async Task CopyAsync(NpgsqlDataSource primary)
    {
        var copy = Sibling;
        Delete(copy);
        Directory.CreateDirectory(copy);
        File.Copy(Path.Combine(Folder, "password"), Path.Combine(copy, "password"));
        await ExecuteAsync(primary, "select pg_drop_replication_slot(slot_name) from pg_replication_slots");
        await ExecuteAsync(primary, "select pg_create_physical_replication_slot('standby', true)"); // Keeps what the copy will ask for.
        await using var connection = await primary.OpenConnectionAsync();
        await using var start = new NpgsqlCommand("select pg_backup_start('standby', true)", connection);
        await start.ExecuteNonQueryAsync();
        await RunAsync("cp", "-a", Path.Combine(Folder, "data"), copy); // Files that go meanwhile are none that it needs.
        await using var stop = new NpgsqlCommand("select labelfile from pg_backup_stop(false)", connection);
        var label = (string)(await stop.ExecuteScalarAsync())!;
        var data = Path.Combine(copy, "data");
        foreach (var file in new[] { "postmaster.pid", "postmaster.opts" })
        {
            File.Delete(Path.Combine(data, file));
        }

        foreach (var folder in new[] { "pg_wal", "pg_replslot" })
        {
            foreach (var inside in new DirectoryInfo(Path.Combine(data, folder)).EnumerateFileSystemInfos().Where(
                entry => entry.Name != "archive_status" && entry.Name != "summaries"))
            {
                Delete(inside.FullName);
            }
        }

        await File.WriteAllTextAsync(Path.Combine(data, "backup_label"), label);
        await File.WriteAllTextAsync(Path.Combine(data, "standby.signal"), "");
        await File.AppendAllTextAsync(
            Path.Combine(data, "postgresql.auto.conf"),
            $"\nprimary_conninfo = 'host=127.0.0.1 port={Port} user=actors password={Password} "
                + $"application_name=standby'\nprimary_slot_name = 'standby'\n");
    }

    private string ConnectionString(int port) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1", Port = port, Username = "actors", Password = Password, Database = "postgres", Pooling = false,
        CommandTimeout = 90, Options = "-c synchronous_commit=local",
    }.ConnectionString;

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    private static async Task WaitAsync(NpgsqlDataSource source, string condition)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(50))
        {
            await using var command = source.CreateCommand(condition);
            if (await command.ExecuteScalarAsync() is true)
            {
                return;
            }

            if (watch.Elapsed > TimeSpan.FromSeconds(60))
            {
                throw new TimeoutException($"Not so within a minute: {condition}");
            }
        }
    }

    private static async Task<int> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    private static void Delete(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
        else
        {
            File.Delete(path);
        }
    }
}
