using System.Diagnostics;
using System.Globalization;
using Actors.Benchmarks;
using Actors.Postgres;
using Actors.Storage;
using Npgsql;

const string Usage =
    """
    Usage: ./bench [--quick] [--json FILE]   steps per second and their cost, beside what pgbench does on the same server in the same run
           ./bench --features                single calls, transactions, timers and replay
           ./bench --starts [N]              N (1,000,000) starts in one transaction, and until all have ended
           ./bench --sleepers [N]            what N (100,000) sleeping workflows cost, and that all wake (of more than 200,000: what they cost)
           ./bench --sweep [N]               what a sweep takes, and lists of runs, beside N (1,000,000) runs set aside and N of types that the silo lacks
           ./bench --parts [N]               what starts, signals, ends and rests cost by themselves, N (30,000) of each
           ./bench --waits                   who waits for somebody's open transaction, and how long a message for a relay at rest
           ./bench --recovery [N]            N (10,000) workflows in flight when the only silo is killed
           ./bench --cluster                 one, two and four silo processes on this machine
           ./bench --growth [N] [MINUTES]    the rate after N (10,000,000) ended workflows, and under a snapshot held for MINUTES (10)
           ./bench --soak [MINUTES]          one load for MINUTES (15): whether anything grows
           ./bench --load N                  N workflows at a time for twenty seconds, for profilers
    """;

if (args is [ChildSilo.Option])
{
    await ChildSilo.RunAsync();
    return 0;
}

var mode = args.Length > 0 && args[0] is not "--quick" and not "--json" ? args[0] : "";
var quick = args.Contains("--quick");
var json = args is [.., "--json", var path] ? path : null;
var numbers = args.Skip(1).Select(word => int.TryParse(word, out var number) && number > 0 ? number : 0).ToArray();
var numbersMax = mode switch { "--growth" => 2, "--starts" or "--sleepers" or "--sweep" or "--recovery" or "--soak" or "--load" or "--parts" => 1, "--features" or "--cluster" or "--waits" => 0, _ => -1 };
if (mode == "" ? args.Length != (quick ? 1 : 0) + (json is null ? 0 : 2) : numbers.Length > numbersMax || numbers.Contains(0))
{
    Console.Error.WriteLine(Usage);
    return 2;
}

if (Pgbench.Find() is not { } pgbench)
{
    Console.Error.WriteLine("pgbench is missing: it comes with the PostgreSQL client programs (Debian: postgresql-contrib or postgresql-15). Put it on PATH.");
    return 3;
}

var root = Environment.GetEnvironmentVariable("ACTORS_ROOT") ?? Directory.GetCurrentDirectory();
if (mode == "--growth" && new DriveInfo(root).AvailableFreeSpace is var free && free < Growth.BytesNeeded(Number(0, 10_000_000)))
{
    Console.Error.WriteLine($"--growth needs {Growth.BytesNeeded(Number(0, 10_000_000)) / 1e9:0} GB on the disk of {root}, which has {free / 1e9:0}.");
    return 3;
}

Directory.CreateDirectory(Path.Combine(root, ".actors"));
using var alone = FileLock.TryTake(Path.Combine(root, ".actors", "bench.lock"), FileShare.None);
if (alone is null)
{
    Console.Error.WriteLine("Another ./bench measures in this clone, on the server that this one would take. Let it end first.");
    return 3;
}

var settings = PostgresSettings.FromEnvironment(root) with { Name = "bench" };
var server = await EmbeddedPostgres.StartAsync(settings, Console.Error.WriteLine);
try
{
    var database = await FreshDatabaseAsync(server.ConnectionString, "actors_bench");
    var text = mode switch
    {
        "--cluster" => await Cluster.MeasureAsync(name => FreshDatabaseAsync(server.ConnectionString, name)),
        "--recovery" => await Recovery.MeasureAsync(database, Number(0, 10_000)),
        "--growth" => await WithSiloAsync(GrowthAsync, delivers: true),
        "--soak" => await WithSiloAsync(silo => Soak.MeasureAsync(silo, Number(0, 15)), delivers: true, keeps: TimeSpan.FromMinutes(1)),
        "--starts" => await WithSiloAsync(silo => Starts.MeasureAsync(silo, database, Number(0, 1_000_000))),
        "--sleepers" => await WithSiloAsync(silo => Sleepers.MeasureAsync(silo, database, Number(0, 100_000))),
        "--sweep" => await WithSiloAsync(silo => Sweeps.MeasureAsync(silo, database, Number(0, 1_000_000))),
        "--waits" => await WithSiloAsync(silo => Waits.MeasureAsync(silo, database), delivers: true),
        "--features" => await WithSiloAsync(silo => Features.MeasureAsync(silo, pgbench, database)),
        "--parts" => await WithSiloAsync(silo => Parts.MeasureAsync(silo, Number(0, 30_000))),
        "--load" => await WithSiloAsync(silo => LoadAsync(silo, Number(0, 256))),
        _ => await CompareAsync(database),
    };
    if (mode != "--load")
    {
        await FileAsync(mode == "" ? quick ? "-quick" : "" : mode[1..], text, mode == "" ? null : await SettingsAsync(database));
    }

    async Task<string> GrowthAsync(SiloUnderTest silo)
    {
        await using var small = await SiloUnderTest.StartAsync(await FreshDatabaseAsync(server.ConnectionString, "actors_bench_small"), delivers: true);
        return await Growth.MeasureAsync(silo, small, database, Number(0, 10_000_000), TimeSpan.FromMinutes(Number(1, 10)));
    }

    async Task<T> WithSiloAsync<T>(Func<SiloUnderTest, Task<T>> measure, bool delivers = false, TimeSpan? keeps = null)
    {
        await using var silo = await SiloUnderTest.StartAsync(database, delivers, keeps);
        return await measure(silo);
    }
}
finally
{
    if (settings.ConnectionString is null)
    {
        await EmbeddedPostgres.StopAsync(settings with { Major = null });
    }
}

return 0;

int Number(int place, int usual) => numbers.Length > place ? numbers[place] : usual;

async Task<string> CompareAsync(string database)
{
    var all = await Comparison.MeasureAsync(database, pgbench, quick);
    var report = Report.Text(all, Commit(), await SettingsAsync(database));
    Console.Write(report);
    if (json is not null)
    {
        await File.WriteAllTextAsync(json, Report.Json(all));
    }

    return report;
}

async Task FileAsync(string name, string text, string? machine)
{
    var file = $"benchmarks/results/{DateTime.UtcNow.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)}-{Commit()}{name}.md";
    var foot = machine is null ? "" : $"\n{Environment.ProcessorCount} cores, client and server on the same machine; {machine}. `./bench {string.Join(' ', args)}` at commit {Commit()}.\n";
    await File.WriteAllTextAsync(Path.Combine(root, file), text + foot);
    Console.WriteLine($"Written to {file}");
}

static async Task<string> LoadAsync(SiloUnderTest silo, int concurrency)
{
    await silo.LoadAsync(concurrency, TimeSpan.FromSeconds(10));
    Console.WriteLine($"process {Environment.ProcessId}");
    Console.WriteLine(await silo.LoadAsync(concurrency, TimeSpan.FromSeconds(20)));
    return "";
}

static async Task<string> FreshDatabaseAsync(string server, string name)
{
    await using var source = NpgsqlDataSource.Create(server);
    foreach (var sql in new[] { $"drop database if exists {name} with (force)", $"create database {name}" })
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    var connectionString = new NpgsqlConnectionStringBuilder(server) { Database = name }.ConnectionString;
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

static string Commit()
{
    using var process = Process.Start(new ProcessStartInfo("git", "rev-parse --short HEAD") { RedirectStandardOutput = true })!;
    return process.StandardOutput.ReadToEnd().Trim();
}
