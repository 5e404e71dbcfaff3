using System.Diagnostics;
using Actors.Benchmarks;
using Actors.Hosting;
using Actors.Storage;
using Npgsql;

// Steps per second and their cost, beside what pgbench does on the same server in the same run. --quick: under two minutes.
// --sleepers [N]: what N (default 100,000) sleeping workflows cost, and that all wake.
// --starts [N]: N (default 1,000,000) starts in one transaction, and until all have ended.
var quick = args.Contains("--quick");
var json = args is [.., "--json", var path] ? path : null;
// --features: single calls, transactions, timers and replay.
// --load N: N workflows at a time for twenty seconds, for profilers.
var load = args is ["--load", var many] && int.TryParse(many, out var asked) ? asked : 0;
var sleepers = Count("--sleepers", 100_000);
var starts = Count("--starts", 1_000_000);
var features = args is ["--features"];
if (args.Length != (quick ? 1 : 0) + (json is null ? 0 : 2) && sleepers + starts + load == 0 && !features)
{
    Console.Error.WriteLine("Usage: ./bench [--quick] [--json FILE] | --sleepers [N] | --starts [N] | --features | --load N");
    return 2;
}

if (Pgbench.Find() is not { } pgbench)
{
    Console.Error.WriteLine("pgbench is missing: it comes with the PostgreSQL client programs (Debian: postgresql-contrib or postgresql-15). Put it on PATH.");
    return 3;
}

var root = Environment.GetEnvironmentVariable("ACTORS_ROOT") ?? Directory.GetCurrentDirectory();
var settings = PostgresSettings.FromEnvironment(root) with { Name = "bench" };
var server = await EmbeddedPostgres.StartAsync(settings, Console.Error.WriteLine);
try
{
    var connectionString = await FreshDatabaseAsync(server.ConnectionString);
    if (sleepers > 0)
    {
        await using var silo = await SiloUnderTest.StartAsync(connectionString);
        await Sleepers.MeasureAsync(silo, sleepers);
        return 0;
    }

    if (features)
    {
        await using var silo = await SiloUnderTest.StartAsync(connectionString);
        await Features.MeasureAsync(silo, pgbench, connectionString);
        return 0;
    }

    if (starts > 0)
    {
        await using var silo = await SiloUnderTest.StartAsync(connectionString);
        await Starts.MeasureAsync(silo, connectionString, starts);
        return 0;
    }

    if (load > 0)
    {
        await using var silo = await SiloUnderTest.StartAsync(connectionString);
        await silo.LoadAsync(load, TimeSpan.FromSeconds(10));
        Console.WriteLine($"process {Environment.ProcessId}");
        Console.WriteLine(await silo.LoadAsync(load, TimeSpan.FromSeconds(20)));
        return 0;
    }

    var all = await Comparison.MeasureAsync(connectionString, pgbench, quick);
    var commit = Output("git", "rev-parse --short HEAD");
    var report = Report.Text(all, commit, await SettingsAsync(connectionString));
    Console.Write(report);
    if (json is not null)
    {
        await File.WriteAllTextAsync(json, Report.Json(all));
    }

    var file = $"{DateTime.UtcNow:yyyy-MM-dd}-{commit}{(quick ? "-quick" : "")}.md";
    await File.WriteAllTextAsync(Path.Combine(root, "benchmarks", "results", file), report);
    Console.WriteLine($"Written to benchmarks/results/{file}");
}
finally
{
    if (settings.ConnectionString is null)
    {
        await EmbeddedPostgres.StopAsync(settings with { Major = null });
    }
}

return 0;

int Count(string option, int usual) =>
    args.Length is 0 or > 2 || args[0] != option ? 0 : args.Length == 1 ? usual : int.TryParse(args[1], out var count) && count > 0 ? count : 0;

static async Task<string> FreshDatabaseAsync(string server)
{
    await using var source = NpgsqlDataSource.Create(server);
    foreach (var sql in new[] { "drop database if exists actors_bench with (force)", "create database actors_bench" })
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    var connectionString = new NpgsqlConnectionStringBuilder(server) { Database = "actors_bench" }.ConnectionString;
    await using var bench = NpgsqlDataSource.Create(connectionString);
    await Migrator.MigrateAsync(bench, CancellationToken.None);
    await using var prepare = bench.CreateCommand(await File.ReadAllTextAsync(Path.Combine(AppContext.BaseDirectory, "Sql", "prepare.sql")));
    await prepare.ExecuteNonQueryAsync();
    return connectionString;
}

static async Task<string> SettingsAsync(string connectionString)
{
    await using var source = NpgsqlDataSource.Create(connectionString);
    await using var command = source.CreateCommand(
        "select 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit') || ', max_wal_size ' || current_setting('max_wal_size') || ', shared_buffers ' || current_setting('shared_buffers')");
    return (string)(await command.ExecuteScalarAsync())!;
}

static string Output(string program, string arguments)
{
    using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
    return process.StandardOutput.ReadToEnd().Trim();
}
