using System.Threading.Channels;
using Actors.Calling;
using Actors.Storage;

namespace Actors.Outbox;

/// <summary>
/// Sends lanes to the sink of one destination. A call takes what is ready at its moment, of as many lanes as it has room for; of a lane at
/// most one call is under way. A lane whose next message has failed before is alone in its call: one that makes whole calls fail fails no
/// other for long. At most so many calls run at a time, and at most half of them (at least one) for lanes whose next message has failed
/// before: many failing keys leave room for the others.
/// </summary>
internal sealed class LaneSender(
    OutboxRoute route, PayloadSerializer serializer, OutboxOptions options, TimeProvider time)
{
    // at most what the lanes hold
    private readonly Channel<Outcome> _outcomes = Channel.CreateUnbounded<Outcome>(new() { SingleReader = true });
    private readonly string _destination = route.Destination;
    private readonly int _batchMax = route.BatchSizeMax;
    private readonly int _retryCallsMax = Math.Max(1, options.InFlightMax / 2);

    private readonly Lock _lock = new();
    private readonly Queue<Lane> _fresh = new();
    private readonly Queue<Lane> _failedBefore = new();
    private int _workers;
    private int _retryCalls;
    private TaskCompletionSource? _ended;

    /// <summary>How each attempt ended, a lane's in order. Failures that the stop may have made are not reported.</summary>
    public ChannelReader<Outcome> Outcomes => _outcomes.Reader;

    /// <summary>Called after outcomes were added.</summary>
    public Action Reported { get; set; } = () => { };

    /// <summary>Begins: the lane is sent until it is empty, fails, or the relay stops.</summary>
    public void Send(Lane lane, CancellationToken stop)
    {
        lock (_lock)
        {
            Enqueue(lane);
            if (_workers == options.InFlightMax)
            {
                return; // One of them takes it.
            }

            _workers++;
        }

        _ = Task.Run(() => WorkAsync(stop), CancellationToken.None);
    }

    /// <summary>After the stop: no call is under way when this returns.</summary>
    public Task EndedAsync()
    {
        lock (_lock)
        {
            return _workers == 0 ? Task.CompletedTask : (_ended ??= new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }

    public static string MessageId(OutboxRow row) => $"{row.Run}:{row.Ordinal}";

    /// <summary>One call after the other, while there is something to send.</summary>
    private async Task WorkAsync(CancellationToken stop)
    {
        var batch = new DeliveryBatch();
        while (TryTake(batch, stop))
        {
            await DeliverAsync(batch, stop);
        }
    }

    private void Enqueue(Lane lane) => (lane.Queue.Peek().Attempts > 0 ? _failedBefore : _fresh).Enqueue(lane);

    /// <summary>Gives back what the batch has left, and takes what is next. False: the worker has nothing more to do, and has
    /// ended.</summary>
    private bool TryTake(DeliveryBatch batch, CancellationToken stop)
    {
        lock (_lock)
        {
            _retryCalls -= batch.IsRetry ? 1 : 0;
            batch.GoOn.ForEach(Enqueue);
            batch.Clear();
            batch.IsRetry = _failedBefore.Count > 0 && _retryCalls < _retryCallsMax;
            var lanes = batch.IsRetry ? _failedBefore : _fresh;
            if (stop.IsCancellationRequested || lanes.Count == 0)
            {
                if (--_workers == 0)
                {
                    _ended?.TrySetResult();
                }

                return false;
            }

            _retryCalls += batch.IsRetry ? 1 : 0;
            do
            {
                batch.Take(lanes.Dequeue(), _batchMax);
            }
            while (!batch.IsRetry && batch.Count < _batchMax && lanes.Count > 0);

            return true;
        }
    }

    /// <summary>Reports how each attempt ended; never throws.</summary>
    private async Task DeliverAsync(DeliveryBatch batch, CancellationToken stop)
    {
        var messages = batch.Read(Message);
        var (said, failure) = messages.Length == 0 ? ([], null) : await CallAsync(messages, stop);
        foreach (var outcome in batch.Outcomes(said, failure))
        {
            if (outcome.Error is null)
            {
                OutboxInstruments.Delivered(_destination);
            }
            else if (stop.IsCancellationRequested)
            {
                continue; // The stop's own doing, for all that is known: this attempt does not count.
            }
            else
            {
                OutboxInstruments.Failed(_destination);
            }

            _outcomes.Writer.TryWrite(outcome);
        }

        Reported();
    }

    /// <returns>An outcome for each message, or why the call failed.</returns>
    private async ValueTask<(DeliveryOutcome[] Said, Exception? Failure)> CallAsync(OutboxMessage[] messages, CancellationToken stop)
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(stop);
        try
        {
            var delivery = route.Sink.DeliverAsync(messages, cancel.Token);
            var said = await (delivery.IsCompleted ? delivery : delivery.WaitAsync(options.DeliveryTimeout, time, stop));
            var outcomes = said as DeliveryOutcome[] ?? [.. said];
            return outcomes.Length == messages.Length ? (outcomes, null) : ([], new InvalidOperationException(
                $"The sink of destination '{_destination}' was given {messages.Length} messages and answered for {outcomes.Length}."));
        }
        catch (Exception error)
        {
            // What the sink still does about it is told to end; what it throws then is too late.
            await cancel.CancelAsync().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return ([], error is TimeoutException ? new TimeoutException($"The delivery took longer than {options.DeliveryTimeout}.", error)
                : error);
        }
    }

    private OutboxMessage Message(OutboxRow row) => new(
        MessageId(row), new WorkflowId(row.Workflow, row.Namespace), row.Run, row.Type, row.Topic, row.Key,
        serializer.Json(row.Payload).ToArray(), row.At, row.Attempts + 1) { AttemptAt = time.GetUtcNow() };
}
