using System.Diagnostics;
using System.Security.Cryptography;
using Npgsql;

namespace Actors.Postgres;

/// <summary>One embedded server by its folder (data/, lock, log, password, port) and the user that it runs as. Callers hold the
/// lock.</summary>
internal sealed class PostgresCluster(string folder, string? user)
{
    private const string Settings =
        "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c timezone=UTC " +
        "-c max_connections=200 -c shared_buffers=256MB -c max_wal_size=2GB";
    private const string Half = "data.half-";

    internal string Folder => folder;
    private string Data => Path.Combine(folder, "data");
    private string Log => Path.Combine(folder, "log");
    private string PasswordFile => Path.Combine(folder, "password");
    private string PortFile => Path.Combine(folder, "port");
    private string PidFile => Path.Combine(Data, "postmaster.pid");

    /// <summary>Alone with this server until the stream is disposed of. A slow start of one server holds up no other.</summary>
    internal Task<FileStream> LockAsync(CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        return FileLock.TakeAsync(Path.Combine(folder, "lock"), cancellation);
    }

    /// <summary>Makes the data folder unless it is there: UTF-8, bytes as collation, a random password.</summary>
    internal async Task InitializeAsync(PostgresBinaries binaries, CancellationToken cancellation)
    {
        if (Directory.Exists(Data))
        {
            await OwnAsync(cancellation);
            return;
        }
        RemoveHalfMade();
        var half = Path.Combine(folder, $"{Half}{Environment.ProcessId}");      // renamed when whole
        File.Delete(PasswordFile);
        var secret = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            secret.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }
        await using (var writer = new StreamWriter(PasswordFile, secret))
        {
            await writer.WriteAsync(RandomNumberGenerator.GetHexString(32, lowercase: true));
        }
        await OwnAsync(cancellation);
        await ChildProcess.RequireAsync(
            binaries.Initdb,
            ["-D", half, "-U", "actors", "--auth=scram-sha-256", $"--pwfile={PasswordFile}", "--encoding=UTF8", "--locale=C"],
            folder, user, cancellation);
        Directory.Move(half, Data);
    }

    /// <summary>What starters left that were killed. The initdb of one may be at work there still: a later start removes what it
    /// writes.</summary>
    private void RemoveHalfMade()
    {
        foreach (var left in Directory.GetDirectories(folder, $"{Half}*"))
        {
            try
            {
                Directory.Delete(left, recursive: true);
            }
            catch (IOException)
            {
                // Nobody reads it.
            }
        }
    }

    /// <summary>Starts on the port of the last time, so that clients find the server again, or on a free one where that is taken.</summary>
    internal async Task StartAsync(PostgresBinaries binaries, bool outlivesMachine, CancellationToken cancellation)
    {
        var settings = Settings + (outlivesMachine ? " -c fsync=on" : " -c fsync=off -c full_page_writes=off")
            + (binaries.Major >= 18 ? " -c io_method=worker" : "");
        for (var attempt = 1; ; attempt++)
        {
            var earlier = File.Exists(Log) ? new FileInfo(Log).Length : 0;
            var port = FreePort();
            // pg_ctl makes the server the leader of a session of its own: no signal of ours or of our terminal reaches it.
            var result = await ChildProcess.RunAsync(
                binaries.PgCtl, ["start", "-D", Data, "-l", Log, "-w", "-t", "120", "-s", "-o", $"-p {port} {settings}"],
                folder, user, cancellation);
            if (result.ExitCode == 0)
            {
                await File.WriteAllTextAsync(PortFile, $"{port}", cancellation);
                return;
            }
            var log = File.Exists(Log) ? (await File.ReadAllTextAsync(Log, cancellation))[(int)earlier..] : "";
            // Another program was faster at the port, or processes of a server that was killed are still about to end.
            string[] passing = ["could not bind", "still in use"];
            if (attempt == 40 || !passing.Any(reason => log.Contains(reason, StringComparison.Ordinal)))
            {
                var end = log[^Math.Min(log.Length, 2000)..];
                throw new InvalidOperationException($"Postgres in {folder} does not start: {result.Output}\n{end}");
            }
            await Task.Delay(TimeSpan.FromMilliseconds(250), cancellation);
        }
    }

    /// <summary>True once the running server accepts connections; false when none runs.</summary>
    internal async Task<bool> TryAdoptAsync(CancellationToken cancellation)
    {
        for (var started = Stopwatch.StartNew(); IsRunning(); await Task.Delay(TimeSpan.FromMilliseconds(100), cancellation))
        {
            try
            {
                await using var connection = new NpgsqlConnection(ConnectionString("postgres") + ";Pooling=false;Enlist=false");
                await connection.OpenAsync(cancellation);
                return true;
            }
            catch (NpgsqlException error) when (started.Elapsed < TimeSpan.FromMinutes(2) && (error.SqlState is null or "57P03"))
            {
                // It starts, recovers or stops. In the last case its process is gone the next time round.
            }
        }
        return false;
    }

    /// <returns>False when none ran.</returns>
    internal async Task<bool> StopAsync(CancellationToken cancellation)
    {
        if (!IsRunning())
        {
            return false;
        }
        var command = await File.ReadAllTextAsync(Path.Combine(Data, "postmaster.opts"), cancellation);
        var postgres = command[..command.IndexOf(" \"", StringComparison.Ordinal)];
        var control = Path.Combine(Path.GetDirectoryName(postgres)!, "pg_ctl" + Path.GetExtension(postgres));
        await ChildProcess.RequireAsync(control, ["stop", "-D", Data, "-m", "fast", "-w", "-t", "120", "-s"], folder, user, cancellation);
        return true;
    }

    /// <returns>The connection string of the database, which exists now.</returns>
    internal async Task<string> CreateDatabaseAsync(CancellationToken cancellation)
    {
        await using var source = NpgsqlDataSource.Create(ConnectionString("postgres") + ";Enlist=false");
        await using var find = source.CreateCommand("select 1 from pg_database where datname = 'actors'");
        if (await find.ExecuteScalarAsync(cancellation) is null)
        {
            await using var create = source.CreateCommand("create database actors");
            await create.ExecuteNonQueryAsync(cancellation);
        }
        return ConnectionString("actors");
    }

    private string ConnectionString(string database) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = int.Parse(File.ReadLines(PidFile).ElementAt(3)),
        Username = "actors",
        Password = File.ReadAllText(PasswordFile),
        Database = database,
    }.ConnectionString;

    /// <summary>After a reboot another program may have the process id of the file: Postgres itself would refuse to start then.</summary>
    private bool IsRunning()
    {
        if (!File.Exists(PidFile) || File.ReadLines(PidFile).Take(4).Count() < 4)
        {
            return false;
        }
        try
        {
            using var process = Process.GetProcessById(int.Parse(File.ReadLines(PidFile).First()));
            if (process.ProcessName is "" || (process.ProcessName.StartsWith("postgres", StringComparison.Ordinal) && WorksHere(process)))
            {
                return true;
            }
            File.Delete(PidFile);
        }
        catch (ArgumentException)
        {
            // No such process.
        }
        return false;
    }

    /// <summary>The process may be the server of another folder, which a stop by its id would hit.</summary>
    private bool WorksHere(Process postgres)
    {
        try
        {
            return !OperatingSystem.IsLinux() || Identity($"/proc/{postgres.Id}/cwd/postmaster.pid").SequenceEqual(Identity(PidFile));
        }
        catch (FileNotFoundException)
        {
            return false;
        }
        catch (UnauthorizedAccessException)
        {
            return true;    // A container may keep even root from looking.
        }

        static IEnumerable<string> Identity(string file) => File.ReadLines(file).Take(4);      // process, folder, start, port
    }

    private Task OwnAsync(CancellationToken cancellation) =>
        user is null ? Task.CompletedTask : ChildProcess.RequireAsync("chown", ["-R", $"{user}:", folder], "/", null, cancellation);

    private int FreePort()
    {
        // Half written, it says nothing: any port will do.
        var last = File.Exists(PortFile) && int.TryParse(File.ReadAllText(PortFile), out var port) ? port : 0;
        return last > 0 && LoopbackPort.IsFree(last) ? last : LoopbackPort.Free();
    }
}
