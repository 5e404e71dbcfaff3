using System.Globalization;
using Npgsql;

namespace Actors.Benchmarks;

/// <summary>Seconds of processor that a Postgres server on this machine has used, as Linux counts them (proc(5): stat), in
/// hundredths.</summary>
internal static class CpuTime
{
    private const double TicksPerSecond = 100;

    /// <summary>Of all the server's processes, those that have ended among them. Null where they cannot be seen.</summary>
    public static async Task<double?> OfServerAsync(NpgsqlDataSource source)
    {
        var backend = await source.ScalarAsync<int>("select pg_backend_pid()");
        try
        {
            var parent = (int)Numbers(backend)[0];
            var children = File.ReadAllText($"/proc/{parent}/task/{parent}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries);
            // 14 and 15 are a process' own time, 16 and 17 that of children that it has waited for.
            return (children.Sum(pid => Times(int.Parse(pid, CultureInfo.InvariantCulture), 2)) + Times(parent, 4)) / TicksPerSecond;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static long Times(int pid, int count)
    {
        try
        {
            return Numbers(pid)[10..(10 + count)].Sum();
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            return 0; // Ended just now: its parent has its time.
        }
    }

    /// <summary>The fields of the process from the fourth, its parent, on: what stands before them may hold blanks.</summary>
    private static long[] Numbers(int pid)
    {
        var line = File.ReadAllText($"/proc/{pid}/stat");
        return [.. line[(line.LastIndexOf(')') + 4)..].Split(' ').Take(16).Select(field => long.Parse(field, CultureInfo.InvariantCulture))];
    }
}
