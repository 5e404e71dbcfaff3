using System.Globalization;
using System.Net.Sockets;
using System.Transactions;

namespace Actors.Faults;

/// <summary>
/// Callers within a silo's process, each under a transaction scope that it never completes. What they were told, they tell the outside
/// world when the scope is gone: it must be there all the same.
/// </summary>
internal static class ScopedCallers
{
    public const long Amount = 7;
    private const int Count = 40;

    public static string MessageOf(string id) => $"{id}-signal";

    /// <summary>Returns when all of a round have ended, which the world is told, too.</summary>
    public static async Task CallAsync(IWorkflowClient workflows, int round, int sinkPort)
    {
        await Task.WhenAll(Enumerable.Range(0, Count).Select(n => CallAsync(workflows.Get<IBank>($"bank-scoped-{round}-{n}"), sinkPort)));
        await EffectSink.TellAsync(sinkPort, $"called {round}", CancellationToken.None);
    }

    /// <summary>What the world was told of a round: of each workflow whether its start, and whether its signal was acknowledged.</summary>
    public static async Task<List<(string Id, bool IsSignalled)>> ToldAsync(string file, int round, TimeSpan limit)
    {
        for (var watch = System.Diagnostics.Stopwatch.StartNew(); ; await Task.Delay(100))
        {
            var lines = (await File.ReadAllLinesAsync(file)).Select(line => line.Split(' ')).ToList();
            if (lines.Exists(line => line is ["called", var ended] && ended == round.ToString(CultureInfo.InvariantCulture))
                || watch.Elapsed > limit)
            {
                return [.. lines.Where(
                    line => line is ["acknowledged", ..] && line[1].StartsWith($"bank-scoped-{round}-", StringComparison.Ordinal)).Select(
                    line => (line[1], line[2] == "signal"))];
            }
        }
    }

    private static async Task CallAsync(IWorkflowHandle<IBank> workflow, int sinkPort)
    {
        string? acknowledged = null;
        try
        {
            using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
            {
                await workflow.StartAsync(new BankJob(1, 1));
                acknowledged = "start";
                await workflow.SignalAsync(w => w.Add(Amount), MessageOf(workflow.Id.Id));
                acknowledged = "signal";
            }
        }
        catch (WorkflowUnavailableException)
        {
            // Whoever takes over repeats it.
        }

        try
        {
            await (acknowledged is null ? Task.CompletedTask
                : EffectSink.TellAsync(sinkPort, $"acknowledged {workflow.Id.Id} {acknowledged}", CancellationToken.None));
        }
        catch (Exception error) when (error is IOException or SocketException or OperationCanceledException)
        {
            // Then nobody knows that it was acknowledged.
        }
    }
}
