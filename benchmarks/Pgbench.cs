using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;

namespace Actors.Benchmarks;

/// <summary>pgbench on the same server: what Postgres can do without an engine.</summary>
internal static partial class Pgbench
{
    /// <summary>Transactions per second, their latency, and the WAL and the server's processor time that each took.</summary>
    internal readonly record struct Figures(double PerSecond, double P50Ms, double P99Ms, double WalBytes, double? ServerMicroseconds);

    public static string? Find() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Concat(Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").Select(folder => Path.Combine(folder, "bin")) : [])
        .Select(folder => Path.Combine(folder, OperatingSystem.IsWindows() ? "pgbench.exe" : "pgbench"))
        .FirstOrDefault(File.Exists);

    public static async Task<Figures> RunAsync(string program, string connectionString, string script, int clients, TimeSpan duration)
    {
        var logs = Directory.CreateTempSubdirectory("actors-pgbench-");
        try
        {
            await using var source = NpgsqlDataSource.Create(connectionString);
            var (before, cpu) = (await WalAsync(source), await CpuTime.OfServerAsync(source));
            var output = await OutputAsync(program, connectionString, script, clients, duration, Path.Combine(logs.FullName, "log"));
            var wal = await WalAsync(source) - before;
            cpu = await CpuTime.OfServerAsync(source) - cpu;
            // A line a transaction: client, number, microseconds, …; "failed" where it did not commit.
            var latencies = logs.GetFiles().SelectMany(log => File.ReadLines(log.FullName))
                .Select(line => line.Split(' ', 4)[2]).Where(microseconds => microseconds != "failed")
                .Select(microseconds => double.Parse(microseconds, CultureInfo.InvariantCulture) / 1000).Order().ToArray();
            return new Figures(
                Number(Tps(), output), latencies[latencies.Length / 2], latencies[(int)((latencies.Length - 1) * 0.99)], wal / latencies.Length, cpu * 1e6 / latencies.Length);
        }
        finally
        {
            logs.Delete(recursive: true);
        }
    }

    private static async Task<string> OutputAsync(string program, string connectionString, string script, int clients, TimeSpan duration, string log)
    {
        var to = new NpgsqlConnectionStringBuilder(connectionString);
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in new[]
        {
            "-n", "-M", "prepared", "-l", "--log-prefix", log, "-f", Path.Combine(AppContext.BaseDirectory, "Sql", script), "-c", Text(clients), "-j", Text(Math.Min(clients, 2)),
            "-T", Text((int)duration.TotalSeconds), "-h", to.Host!, "-p", Text(to.Port), "-U", to.Username!, to.Database!,
        })
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["PGPASSWORD"] = to.Password;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"pgbench ended with {process.ExitCode}: {await errors}");
    }

    private static Task<double> WalAsync(NpgsqlDataSource source) => source.ScalarAsync<double>("select (pg_current_wal_lsn() - '0/0')::float8");

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static double Number(Regex pattern, string output) => double.Parse(pattern.Match(output).Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"tps = ([\d.]+)")]
    private static partial Regex Tps();
}
