using System.Collections.Concurrent;

namespace Actors.Orders.MainJob;

/// <summary>
/// The client application: starts every order and waits for its end, whatever becomes of the silos. An order's id is its idempotency
/// key, so a driver that starts again goes on where the last one was.
/// </summary>
internal sealed class Driver(IWorkflowClient workflows, JobProgress progress)
{
    private const int InFlightMax = 200;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    private readonly ConcurrentBag<string> _failures = [];

    /// <summary>What kept orders from ending, one line each.</summary>
    public IReadOnlyCollection<string> Failures => _failures;

    /// <summary>Returns when every order has ended or is listed in <see cref="Failures"/>.</summary>
    /// <param name="crashes">Holds orders back that would run ahead of the next crash.</param>
    public Task RunAsync(IReadOnlyList<Order> orders, CrashPlan crashes, CancellationToken cancellation) => Parallel.ForEachAsync(
        orders.Index(),
        new ParallelOptions { MaxDegreeOfParallelism = InFlightMax, CancellationToken = cancellation },
        async (next, stop) =>
        {
            var (number, order) = next;
            try
            {
                await crashes.MayStartAsync(number, stop);
                var workflow = workflows.Get<IOrderWorkflow>(order.Id);
                await StartAsync(workflow, order, stop);
                var outcome = await workflow.ResultAsync(stop);
                progress.Ended(outcome.End == OrderEnd.Completed);
            }
            catch (Exception error) when (!stop.IsCancellationRequested)
            {
                var kind = error is ActorsException ? "" : $"{error.GetType().Name}: ";
                _failures.Add($"order {order.Id}: {kind}{error.Message.ReplaceLineEndings(" ")}");     // the others go on
            }
        });

    private static async Task StartAsync(IWorkflowHandle<IOrderWorkflow> workflow, Order order, CancellationToken stop)
    {
        while (true)
        {
            try
            {
                await workflow.StartAsync(order, cancellation: stop);
                return;
            }
            catch (ActorsException error) when (error.IsTransient)
            {
                await Task.Delay(Pause, stop);
            }
        }
    }
}
