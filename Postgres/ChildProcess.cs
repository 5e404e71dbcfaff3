using System.ComponentModel;
using System.Diagnostics;

namespace Actors.Postgres;

/// <summary>Runs a short-lived program to its end and keeps what it printed.</summary>
internal static class ChildProcess
{
    internal sealed record Result(int ExitCode, string Output);

    /// <summary>Returns when the program has ended, also when servers that it left behind hold on to its output.</summary>
    /// <param name="user">On Unix, started by root: the user to run as. Null: the current one.</param>
    /// <exception cref="Win32Exception">The program cannot be started.</exception>
    internal static async Task<Result> RunAsync(
        string program, IEnumerable<string> arguments, string folder, string? user, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            CreateNoWindow = true,      // Windows: a console of its own, so Ctrl-C in ours does not reach a server started here
            UserName = user ?? "",
        };
        start.Environment["LC_ALL"] = "C";
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = Task.WhenAll(process.StandardOutput.ReadToEndAsync(cancellation), process.StandardError.ReadToEndAsync(cancellation));
        try
        {
            await process.WaitForExitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
        try
        {
            return new(process.ExitCode, string.Concat(await output.WaitAsync(TimeSpan.FromSeconds(2), cancellation)).Trim());
        }
        catch (TimeoutException)
        {
            return new(process.ExitCode, "");
        }
    }

    /// <summary>As <see cref="RunAsync"/>, for programs that must succeed.</summary>
    /// <exception cref="InvalidOperationException">It ended with another code than 0; the message holds what it printed.</exception>
    internal static async Task RequireAsync(
        string program, IEnumerable<string> arguments, string folder, string? user, CancellationToken cancellation)
    {
        var result = await RunAsync(program, arguments, folder, user, cancellation);
        if (result.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} ended with code {result.ExitCode}: {result.Output}");
        }
    }
}
