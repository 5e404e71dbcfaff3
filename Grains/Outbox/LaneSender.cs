using System.Threading.Channels;
using Actors.Calling;
using Actors.Storage;

namespace Actors.Outbox;

/// <summary>Sends lanes to the sink of one destination: a lane's messages one after the other, at most so many at a time over all
/// lanes.</summary>
internal sealed class LaneSender(
    string destination, IOutboxSink sink, PayloadSerializer serializer, OutboxOptions options, TimeProvider time)
{
    // at most what the lanes hold
    private readonly Channel<Outcome> _outcomes = Channel.CreateUnbounded<Outcome>(new() { SingleReader = true });
    private readonly SemaphoreSlim _slots = new(options.InFlightMax);
    // taken first: many failing keys leave room for the others
    private readonly SemaphoreSlim _retrySlots = new(Math.Max(1, options.InFlightMax / 2));

    /// <summary>How each attempt ended, a lane's in order. Attempts that the stop cut off are not reported.</summary>
    public ChannelReader<Outcome> Outcomes => _outcomes.Reader;

    /// <summary>Called after each outcome.</summary>
    public Action Reported { get; set; } = () => { };

    /// <summary>Sends until the lane is empty, fails, or the relay stops; never throws.</summary>
    public async Task SendAsync(Lane lane, CancellationToken stop)
    {
        while (lane.Queue.TryDequeue(out var row))
        {
            Exception? error;
            try
            {
                error = row.Attempts == 0 ? await DeliverAsync(row, stop) : await DeliverAgainAsync(row, stop);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }

            _outcomes.Writer.TryWrite(new Outcome(lane, row, error, IsLast: error is not null || lane.Queue.Count == 0));
            Reported();
            if (error is not null)
            {
                return;
            }
        }
    }

    private async Task<Exception?> DeliverAgainAsync(OutboxRow row, CancellationToken stop)
    {
        await _retrySlots.WaitAsync(stop);
        try
        {
            return await DeliverAsync(row, stop);
        }
        finally
        {
            _retrySlots.Release();
        }
    }

    /// <summary>Null: acknowledged.</summary>
    private async Task<Exception?> DeliverAsync(OutboxRow row, CancellationToken stop)
    {
        await _slots.WaitAsync(stop);
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(stop);
        try
        {
            stop.ThrowIfCancellationRequested();   // a place may come from another delivery's cancellation
            var delivery = sink.DeliverAsync(Message(row), cancel.Token);
            await (delivery.IsCompleted ? delivery : delivery.WaitAsync(options.DeliveryTimeout, time, stop));
            OutboxInstruments.Delivered(destination);
            return null;
        }
        catch (Exception error) when (!stop.IsCancellationRequested)
        {
            OutboxInstruments.Failed(destination);
            await cancel.CancelAsync();
            return error is TimeoutException ? new TimeoutException($"The delivery took longer than {options.DeliveryTimeout}.", error)
                : error;
        }
        catch (Exception error)
        {
            throw new OperationCanceledException("The relay stops: this attempt does not count.", error, stop);
        }
        finally
        {
            _slots.Release();
        }
    }

    private OutboxMessage Message(OutboxRow row) => new(
        MessageId(row), new WorkflowId(row.Workflow, row.Namespace), row.Run, row.Type, row.Topic, row.Key,
        serializer.Json(row.Payload).ToArray(), row.At, row.Attempts + 1) { AttemptAt = time.GetUtcNow() };

    public static string MessageId(OutboxRow row) => $"{row.Run}:{row.Ordinal}";
}
