using System.Diagnostics;

namespace Actors.Orders.MainJob;

/// <summary>One supervisor at a time in a folder. Ends with the process, whichever way that ends.</summary>
internal static class RunLock
{
    internal const string Supervisor = "supervisor";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    /// <summary>Null while another process has it.</summary>
    public static FileStream? TryTake(string folder)
    {
        Directory.CreateDirectory(folder);
        try
        {
            return new FileStream(Path.Combine(folder, "run.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Asks the supervisor that has the lock to end, and takes it; a supervisor that does not end within a minute is
    /// killed.</summary>
    public static async Task<FileStream> TakeFromAsync(string folder, RunState state, CancellationToken cancellation)
    {
        if (TryTake(folder) is { } free)
        {
            return free;
        }

        using var supervisor = state.Find(Supervisor);
        if (supervisor is not null)
        {
            Terminate(supervisor);
        }

        for (var waited = Stopwatch.StartNew(); ; await Task.Delay(LookEvery, cancellation))
        {
            if (TryTake(folder) is { } taken)
            {
                return taken;
            }

            if (waited.Elapsed > Patience)
            {
                supervisor?.Kill();
            }
        }
    }

    // .NET has no SIGTERM for other processes. Windows neither: its children end when they see their input end.
    private static void Terminate(Process process)
    {
        if (OperatingSystem.IsWindows())
        {
            process.Kill();
        }
        else
        {
            using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
            kill.WaitForExit();
        }
    }
}
