using System.Threading.Channels;
using Actors.Calling;
using Actors.Storage;
using Microsoft.Extensions.Logging;

namespace Actors.Outbox;

/// <summary>
/// Delivers the messages of one destination: one loop that alone touches the database and the list of lanes, and a sender (<see
/// cref="LaneSender"/>).
/// </summary>
/// <remarks>
/// Why of two messages of a lane, m1's commit ended before m2's was sent, m1 is first delivered first, also while two relays overlap:
/// <list type="number">
/// <item>m1 has the lower id. An id is drawn by the statement that goes to the database together with its COMMIT, in one round trip: of a
/// group
/// (<see cref="JournalWriter"/>) as of a user's transaction (<see cref="TransactionCommit"/>). When m2's was sent, m1 had its id, and the
/// identity draws one at
/// a time (no cache), upwards. Within a run the fence's row lock is held while ids are drawn, so there it is the order of all
/// commits.</item>
/// <item>A snapshot that shows m2 shows m1, unless it is gone: m1 was visible before m2 was even sent.</item>
/// <item>Each read takes a lane from its first row on, in one snapshot. No conclusion is drawn from two snapshots: a row that committed
/// late behind
/// the page's end makes its successors no heads, so they wait for the next pass, as it does.</item>
/// <item>Reads begin where there is nothing below, and never will be: at the <see cref="OutboxFloor"/>, or, in a lane that goes on, behind
/// what it was sent of the ids that were settled when it was read (<see cref="Lane.End"/>).</item>
/// <item>A lane in memory is not read. It leaves memory after the commit that deleted, postponed or buried its rows, and the loop reads
/// only between
/// such commits: what it still holds is never read again.</item>
/// <item>So a relay sends a message only after it saw its predecessor acknowledged, or gone: acknowledged to another relay, or dead. Either
/// way the
/// predecessor's first delivery lies before. An overlapping relay can only repeat.</item>
/// </list>
/// A row may commit after rows of its lane with higher ids: another run's, which drew its id before them. Neither commit ended before the
/// other
/// was sent, so no order is promised; it is delivered when the lane is read next: at once when the lane rests (the deletion says what is
/// left), or by a pass.
/// Dead letters are outside of this order: skipped, and driven again later.
/// </remarks>
internal sealed partial class DestinationRelay(
    OutboxRoute route, OutboxTable table, PayloadSerializer serializer, OutboxOptions options, Func<short[]> partitions,
    TimeProvider time, ILogger logger)
{
    // Rows that one read looks at for each lane it may take: passes over blocked lanes need few statements, and none runs long.
    private const int ScanFactor = 10;
    private static readonly TimeSpan LastWriteTimeout = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan DatabaseBackOffFirst = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan DatabaseBackOffMax = TimeSpan.FromSeconds(5);

    private readonly Dictionary<long, Lane> _lanes = [];
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly LaneSender _sender = new(route, serializer, options, time);
    private readonly PassClock _clock = new(time);

    // Outcomes that are not in the database yet, and lanes to read on. They survive a failed statement.
    private readonly List<OutboxRow> _acknowledged = [];
    private readonly List<Lane> _rested = [];
    private readonly List<(Lane Lane, OutboxFailure Failure)> _postponed = [];
    private readonly List<(Lane Lane, OutboxFailure Failure)> _buried = [];
    private readonly List<(Lane Lane, long From)> _refill = [];
    private int _retrying;

    public string Name => route.Destination;

    public OutboxFloor Floor { get; } = new();

    private long After => _clock.After;

    private int Room => options.PageSize - (_lanes.Count - _retrying);

    private int RetryRoom => options.PageSize / 2 - _retrying;

    private bool MayReadPage => Room >= options.PageSize / 2 && partitions().Length > 0;

    private bool MayReadRetries => RetryRoom > options.PageSize / 4 && partitions().Length > 0;

    /// <summary>There may be new rows.</summary>
    public void Wake()
    {
        _clock.WantPass();
        _wake.Writer.TryWrite(true);
    }

    /// <summary>There may be failed rows whose back-off this relay does not know.</summary>
    public void ReadRetries()
    {
        _clock.ForgetRetries();
        _wake.Writer.TryWrite(true);
    }

    public async Task RunAsync(CancellationToken stop)
    {
        _sender.Reported = () => _wake.Writer.TryWrite(true);
        await using var timer = time.CreateTimer(
            _ => _wake.Writer.TryWrite(true), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        var backOff = DatabaseBackOffFirst;
        _wake.Writer.TryWrite(true);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await _wake.Reader.ReadAsync(stop);
                await WriteOutcomesAsync(stop);
                await RefillAsync(stop);
                await ReadRetriesAsync(stop);
                await ReadPageAsync(stop);
                timer.Change(_clock.UntilNext(MayReadPage, MayReadRetries), Timeout.InfiniteTimeSpan);
                backOff = DatabaseBackOffFirst;
            }
            catch (Exception error) when (!stop.IsCancellationRequested)
            {
                LogStatementFailed(logger, route.Destination, backOff, error);
                Floor.Forget();
                await Task.Delay(backOff, time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                backOff = backOff * 2 < DatabaseBackOffMax ? backOff * 2 : DatabaseBackOffMax;
                _wake.Writer.TryWrite(true);
            }
            catch (Exception)
            {
                break;   // whatever the cancelled statement threw
            }
        }

        await EndAsync();
    }

    private async Task EndAsync()
    {
        try
        {
            await _sender.EndedAsync();
            using var limit = new CancellationTokenSource(LastWriteTimeout, time);
            await WriteOutcomesAsync(limit.Token);
        }
        catch (Exception error)
        {
            LogLastWriteFailed(logger, route.Destination, error);
        }
    }

    private async Task WriteOutcomesAsync(CancellationToken stop)
    {
        while (_sender.Outcomes.TryRead(out var outcome))
        {
            Sort(outcome);
        }

        if (_acknowledged.Count > 0)
        {
            var ends = _rested.ToDictionary(lane => lane.Key, lane => Floor.From(lane.Generation, lane.End));
            var goOn = await table.DeleteAsync(route.Destination, _acknowledged, row => ends.GetValueOrDefault(row.Lane), stop);
            Forget(_rested.Where(lane => !goOn.Contains(lane.Key)));
            _refill.AddRange(_rested.Where(lane => goOn.Contains(lane.Key)).Select(lane => (lane, lane.End)));
            _acknowledged.Clear();
            _rested.Clear();
        }

        if (_postponed.Count > 0)
        {
            await table.PostponeAsync([.. _postponed.Select(item => item.Failure)], stop);
            _clock.RetryIn(_postponed.Min(item => item.Failure.BackOff));
            Forget(_postponed.Select(item => item.Lane));
            _postponed.Clear();
        }

        if (_buried.Count > 0)
        {
            await table.BuryAsync([.. _buried.Select(item => item.Failure)], stop);
            OutboxInstruments.DeadLettered(route.Destination, _buried.Count);
            _refill.AddRange(_buried.Select(item => (item.Lane, item.Lane.Begin))); // What it queued is read again.
            _buried.Clear();
        }
    }

    private void Sort(Outcome outcome)
    {
        var (lane, row, error, isLast) = outcome;
        if (error is null)
        {
            _acknowledged.Add(row);
            if (isLast)
            {
                _rested.Add(lane);
            }

            return;
        }

        var attempts = (short)(row.Attempts + 1);
        var failure = new OutboxFailure(row, attempts, BackOff.After(attempts, error, options), BackOff.Reason(error));
        var gaveUp = attempts >= options.AttemptsMax || error is OutboxDeliveryException { IsPermanent: true };
        (gaveUp ? _buried : _postponed).Add((lane, failure));
        if (gaveUp)
        {
            LogDeadLetter(logger, route.Destination, LaneSender.MessageId(row), attempts, ErrorText.Loggable(error));
        }
        else
        {
            LogAttemptFailed(logger, route.Destination, LaneSender.MessageId(row), attempts, failure.BackOff, ErrorText.Loggable(error));
        }
    }

    // Lanes that go on behind what was sent. Those of partitions that went to another relay are left to it.
    private async Task RefillAsync(CancellationToken stop)
    {
        if (_refill.Count == 0)
        {
            return;
        }

        var mine = partitions();
        var known = Floor.Read();
        var lanes = _refill.Where(item => mine.Contains(item.Lane.Partition)).ToDictionary(
            item => item.Lane.Key, item => Floor.From(item.Lane.Generation, item.From));
        var rows = lanes.Count == 0 ? [] : await table.ReadLanesAsync(route.Destination, lanes, options.ReadAhead, stop);
        Forget(_refill.Select(item => item.Lane));
        _refill.Clear();
        if (Send(rows, lane => lanes[lane], known, stop) < lanes.Count)
        {
            _clock.ForgetRetries();   // of a lane whose first row failed before
        }
    }

    private async Task ReadRetriesAsync(CancellationToken stop)
    {
        if (!MayReadRetries || !_clock.TakeRetries())
        {
            return;
        }

        try
        {
            var known = Floor.Read();
            var (rows, wait) = await table.ReadRetriesAsync(
                route.Destination, partitions(), RetryRoom, options.ReadAhead, _lanes.Keys, known.Floor, stop);
            Send(rows, _ => known.Floor, known, stop, areRetries: true);
            if (wait is { } until)
            {
                _clock.RetryIn(until);
            }
        }
        catch
        {
            _clock.ForgetRetries();
            throw;
        }
    }

    private async Task ReadPageAsync(CancellationToken stop)
    {
        if (!MayReadPage || !_clock.InPass())
        {
            return;
        }

        var (known, begin) = (Floor.Read(), time.GetTimestamp());
        var (rows, end) = await table.ReadPageAsync(
            route.Destination, partitions(), After, options.PageSize * ScanFactor, Room, options.ReadAhead, _lanes.Keys, known.Floor, stop);
        _clock.PageRead(end, time.GetElapsedTime(begin), Send(rows, _ => known.Floor, known, stop));
        if (end is not null)
        {
            _wake.Writer.TryWrite(true);
        }
    }

    private void Forget(IEnumerable<Lane> lanes)
    {
        foreach (var lane in lanes)
        {
            if (_lanes.Remove(lane.Key) && lane.IsRetry)
            {
                _retrying--;
            }
        }
    }

    /// <summary>Starts the lanes of these rows, which come lane by lane and each from its first row on. Returns how many.</summary>
    /// <param name="begin">Where the read began in a lane.</param>
    /// <param name="known">What was known before the read.</param>
    private int Send(List<OutboxRow> rows, Func<long, long> begin, (long Generation, long Floor, long Complete) known,
        CancellationToken stop, bool areRetries = false)
    {
        var started = 0;
        Floor.Saw(rows.Count == 0 ? 0 : rows.Max(row => row.Id));
        for (var from = 0; from < rows.Count;)
        {
            var first = rows[from];
            var lane = new Lane(first.Lane, areRetries, begin(first.Lane), known.Complete, known.Generation);
            var due = true;
            for (; from < rows.Count && rows[from].Lane == first.Lane; from++)
            {
                due &= rows[from].Due;
                if (due)
                {
                    lane.Enqueue(rows[from]);
                }
            }

            if (lane.Queue.Count > 0)
            {
                _lanes.Add(lane.Key, lane);
                _sender.Send(lane, stop);
                started++;
                _retrying += areRetries ? 1 : 0;
            }
        }

        return started;
    }
}
