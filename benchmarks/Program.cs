using System.Diagnostics;
using System.Globalization;
using System.Text;
using Actors.Benchmarks;
using Actors.Hosting;
using Actors.Storage;
using Npgsql;

// Steps per second and their cost, beside what pgbench does on the same server in the same run. --quick: under two minutes.
// --sleepers [N]: what N (default 100,000) sleeping workflows cost, and that all wake.
var quick = args is ["--quick"];
var sleepers = args is ["--sleepers", ..] ? args is [_, var given] && int.TryParse(given, out var count) && count > 0 ? count : args.Length == 1 ? 100_000 : 0 : 0;
if (args.Length > 0 && !quick && sleepers == 0)
{
    Console.Error.WriteLine("Usage: ./bench [--quick | --sleepers [N]]");
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

    var report = await MeasureAsync(connectionString, pgbench, quick);
    Console.Write(report);
    var commit = Output("git", "rev-parse --short HEAD");
    var file = Path.Combine(root, "benchmarks", "results", $"{DateTime.UtcNow:yyyy-MM-dd}-{commit}.md");
    await File.WriteAllTextAsync(file, report);
    Console.WriteLine($"Written to benchmarks/results/{Path.GetFileName(file)}");
}
finally
{
    if (settings.ConnectionString is null)
    {
        await EmbeddedPostgres.StopAsync(settings with { Major = null });
    }
}

return 0;

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

static async Task<string> MeasureAsync(string connectionString, string pgbench, bool quick)
{
    int[] loads = quick ? [1, 16, 256, 1024] : [1, 16, 64, 256, 1024];
    int[] clients = [1, 8, 64];
    var (rounds, time) = quick ? (1, TimeSpan.FromSeconds(5)) : (3, TimeSpan.FromSeconds(10));
    var single = clients.ToDictionary(c => c, _ => new List<Pgbench.Figures>());
    var commits = new List<Pgbench.Figures>();
    var ours = loads.ToDictionary(load => load, _ => new List<Measure>());
    await using (var silo = await SiloUnderTest.StartAsync(connectionString))
    {
        await silo.LoadAsync(64, TimeSpan.FromSeconds(quick ? 3 : 10)); // Compiles and prepares.
        for (var round = 0; round < rounds; round++)
        {
            commits.Add(await Pgbench.RunAsync(pgbench, connectionString, "commit.sql", 1, time));
            foreach (var count in clients)
            {
                single[count].Add(await Pgbench.RunAsync(pgbench, connectionString, "step.sql", count, time));
            }

            foreach (var load in loads)
            {
                ours[load].Add(await silo.LoadAsync(load, time));
            }
        }
    }

    return await ReportAsync(connectionString, commits, single, ours);
}

static async Task<string> ReportAsync(
    string connectionString, List<Pgbench.Figures> commits, Dictionary<int, List<Pgbench.Figures>> single, Dictionary<int, List<Measure>> ours)
{
    var text = new StringBuilder();
    void Line(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
    var best = single.Values.Max(figures => Median(figures, f => f.PerSecond));
    var commit = Median(commits, f => f.LatencyMs);
    Line($"# Steps per second, {DateTime.UtcNow:yyyy-MM-dd}, commit {Output("git", "rev-parse --short HEAD")}");
    Line($"");
    Line($"{Environment.ProcessorCount} cores, client and server on the same machine; {await SettingsAsync(connectionString)}. Medians of {commits.Count} round(s).");
    Line($"Ten-step workflows, results of 200 bytes, one outbox row a step; from start to awaited result, callers inside the one silo.");
    Line($"");
    Line($"| concurrent workflows | steps/s | beside pgbench's best | step p50 ms | step p99 ms | workflow p50 ms | workflow p99 ms | commits/step | round trips/step | WAL bytes/step | allocated bytes/step |");
    Line($"|---|---|---|---|---|---|---|---|---|---|---|");
    foreach (var (load, m) in ours)
    {
        Line($"| {load} | {Median(m, x => x.StepsPerSecond):0} | {Median(m, x => x.StepsPerSecond) / best:0.00} | {Median(m, x => x.StepP50Ms):0.00} | {Median(m, x => x.StepP99Ms):0.00} | {Median(m, x => x.WorkflowP50Ms):0.0} | {Median(m, x => x.WorkflowP99Ms):0.0} | {Median(m, x => x.CommitsPerStep):0.000} | {Median(m, x => x.RoundTripsPerStep):0.000} | {Median(m, x => x.WalBytesPerStep):0} | {Median(m, x => x.BytesAllocatedPerStep):0} |");
    }

    Line($"");
    Line($"| pgbench: step + workflow + outbox row, one pipelined transaction | transactions/s | latency ms |");
    Line($"|---|---|---|");
    foreach (var (clients, figures) in single)
    {
        Line($"| {clients} client(s) | {Median(figures, f => f.PerSecond):0} | {Median(figures, f => f.LatencyMs):0.00} |");
    }

    Line($"");
    Line($"pgbench, one client, one small commit: {commit:0.00} ms; twelve of them: {12 * commit:0.0} ms; our ten-step workflow at one client: {Median(ours[1], x => x.WorkflowP50Ms):0.0} ms.");
    return text.ToString();
}

static async Task<string> SettingsAsync(string connectionString)
{
    await using var source = NpgsqlDataSource.Create(connectionString);
    await using var command = source.CreateCommand(
        "select 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit') || ', max_wal_size ' || current_setting('max_wal_size') || ', shared_buffers ' || current_setting('shared_buffers')");
    return (string)(await command.ExecuteScalarAsync())!;
}

static double Median<T>(List<T> values, Func<T, double> select) => values.Select(select).Order().ElementAt(values.Count / 2);

static string Output(string program, string arguments)
{
    using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
    return process.StandardOutput.ReadToEnd().Trim();
}
