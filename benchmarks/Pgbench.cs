using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Npgsql;

namespace Actors.Benchmarks;

/// <summary>pgbench on the same server: what Postgres can do without an engine.</summary>
internal static partial class Pgbench
{
    /// <summary>Transactions per second and their average latency.</summary>
    internal readonly record struct Figures(double PerSecond, double LatencyMs);

    public static string? Find() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Concat(Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql").Select(folder => Path.Combine(folder, "bin")) : [])
        .Select(folder => Path.Combine(folder, OperatingSystem.IsWindows() ? "pgbench.exe" : "pgbench"))
        .FirstOrDefault(File.Exists);

    public static async Task<Figures> RunAsync(string program, string connectionString, string script, int clients, TimeSpan duration)
    {
        var to = new NpgsqlConnectionStringBuilder(connectionString);
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in new[]
        {
            "-n", "-M", "prepared", "-f", Path.Combine(AppContext.BaseDirectory, "Sql", script), "-c", Text(clients), "-j", Text(Math.Min(clients, 2)),
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
        return process.ExitCode == 0
            ? new Figures(Number(Tps(), output), Number(Latency(), output))
            : throw new InvalidOperationException($"pgbench ended with {process.ExitCode}: {await errors}");
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static double Number(Regex pattern, string output) => double.Parse(pattern.Match(output).Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"tps = ([\d.]+)")]
    private static partial Regex Tps();

    [GeneratedRegex(@"latency average = ([\d.]+) ms")]
    private static partial Regex Latency();
}
