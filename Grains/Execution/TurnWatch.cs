using Microsoft.Extensions.Logging;

namespace Actors.Execution;

/// <summary>
/// Reports a turn that has blocked its thread for two seconds: workflow code that waits with .Result, sleeps, or computes too long. It
/// looks four times a second from a thread of its own and counts its own looks, so that a stopped process or a starved pool is not blamed
/// on the code.
/// </summary>
internal sealed partial class TurnWatch(WorkflowEngine engine, ILogger<TurnWatch> log) : IDisposable
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(250);

    private readonly Dictionary<ResidentRun, (long Turn, int Times)> _seen = [];
    private readonly ManualResetEventSlim _stop = new();

    public void Start() => new Thread(Run) { IsBackground = true, Name = "Actors turn watch" }.Start();

    public void Dispose() => _stop.Set();

    private void Run()
    {
        while (!_stop.Wait(Look))
        {
            try
            {
                CheckAll();
            }
            catch (Exception error)
            {
                LogFailed(error); // An error that escaped would end the process.
            }
        }
    }

    private void CheckAll()
    {
        var running = new HashSet<ResidentRun>();
        foreach (var resident in engine.Residents)
        {
            if (resident.TurnSince is not 0 and var turn)
            {
                running.Add(resident);
                Count(resident, turn);
            }
        }

        foreach (var gone in _seen.Keys.Where(resident => !running.Contains(resident)).ToList())
        {
            _seen.Remove(gone);
            gone.TurnProblem = null;
        }
    }

    private void Count(ResidentRun resident, long turn)
    {
        var looks = _seen.TryGetValue(resident, out var before) && before.Turn == turn ? before.Times + 1 : 1;
        _seen[resident] = (turn, looks);
        if (looks == (int)(Limit / Look))
        {
            resident.TurnProblem = $"A turn of its code has blocked a thread for more than {Limit.TotalSeconds:0} "
                + $"s{resident.Program.After}: "
                + "do not block in workflow code (.Result, .Wait(), Thread.Sleep, long loops); await, or move the work into a Step.";
            LogBlocked(resident.Id, resident.TurnProblem);
        }
    }

    [LoggerMessage(502, LogLevel.Error, "The turns under way cannot be looked at now.")]
    private partial void LogFailed(Exception error);

    [LoggerMessage(501, LogLevel.Error, "Workflow '{Id}': {Problem}")]
    private partial void LogBlocked(WorkflowId id, string problem);
}
