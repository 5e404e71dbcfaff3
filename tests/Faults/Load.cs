using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace Actors.Faults;

/// <summary>What an outside client asked for one workflow, and what it was told.</summary>
/// <param name="Sum">Of the amounts in all its signals.</param>
/// <param name="IsFickle">Its caller asks for each thing once, whatever it is told, and its amounts are different powers of ten.</param>
internal sealed record Asked(string Id, long Sum, bool IsFickle = false)
{
    public long? Result { get; set; }

    /// <summary>Its start was acknowledged.</summary>
    public bool IsStarted { get; set; }

    /// <summary>Each signal once; of a fickle caller, whose workflow does not wait for them, at most once.</summary>
    public bool IsRight(long result) => IsFickle ? $"{result}".All(digit => digit is '0' or '1') && result <= Sum : result == Sum;

    /// <summary>Message ids of the signals that were acknowledged.</summary>
    public ConcurrentQueue<string> Acknowledged { get; } = [];
}

/// <summary>
/// Callers outside of the cluster: each starts a workflow, sends its signals, and waits for the result, repeating with the same ids
/// whatever was not acknowledged. Its history is what the checks hold the database to.
/// </summary>
/// <param name="name">Begins the ids of its workflows.</param>
internal sealed class Load(Rig rig, int seed, Findings findings, string name = "bank")
{
    private const int Callers = 24;
    private const int FickleCallers = 4;
    private const int Signals = 3;

    // Twice the client's time-out: a call that is slower than this hangs.
    private static readonly TimeSpan CallLimit = TimeSpan.FromSeconds(15);

    // For so long some wait for a result before they ask again.
    private static readonly TimeSpan ResultLimit = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentQueue<Task> _takenOver = [];
    private readonly CancellationTokenSource _noMore = new();
    private readonly CancellationTokenSource _giveUp = new();
    private Task _running = Task.CompletedTask;

    public ConcurrentQueue<Asked> History { get; } = [];

    /// <summary>Of callers who repeat everything.</summary>
    public ConcurrentQueue<Chain> Chains { get; } = [];

    public string Name => name;

    public Findings Findings => findings;

    public int Repeats;

    public void Start() => _running = Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(() => CallAsync(caller))));

    /// <summary>Starts nothing more, and waits until everything has ended. False: something did not, in this time.</summary>
    public async Task<bool> EndAsync(TimeSpan limit)
    {
        await _noMore.CancelAsync();
        var running = Task.WhenAll(_takenOver.Append(_running));
        await Task.WhenAny(running, Task.Delay(limit));
        var ended = running.IsCompleted;
        await _giveUp.CancelAsync();
        await running;
        return ended;
    }

    /// <summary>Of one of <see cref="ScopedCallers"/>, whose start was acknowledged: what was is not asked for again, the rest
    /// is.</summary>
    public void TakeOver(string id, bool isSignalled)
    {
        var asked = new Asked(id, ScopedCallers.Amount) { IsStarted = true };
        History.Enqueue(asked);
        if (isSignalled)
        {
            asked.Acknowledged.Enqueue(ScopedCallers.MessageOf(id));
        }

        _takenOver.Enqueue(Task.Run(() => FinishAsync(asked, isSignalled)));
    }

    private async Task FinishAsync(Asked asked, bool isSignalled)
    {
        try
        {
            if (!isSignalled)
            {
                var messageId = ScopedCallers.MessageOf(asked.Id);
                await AcknowledgedAsync(
                    "signal", asked.Id, stop => rig.Workflows.Get<IBank>(asked.Id).SignalAsync(w => w.Add(asked.Sum), messageId, stop));
                asked.Acknowledged.Enqueue(messageId);
            }

            await WaitForResultAsync(asked, new Random(seed));
        }
        catch (OperationCanceledException) when (_giveUp.IsCancellationRequested)
        {
            // The campaign says which did not end.
        }
        catch (WorkflowNotFoundException)
        {
            findings.Add("acknowledged_is_recorded", $"{asked.Id} was started by a caller under a transaction scope, and is gone");
        }
        catch (Exception error)
        {
            findings.Add("typed_errors", $"{asked.Id}: {error}");
        }
    }

    /// <summary>How long a small workflow takes from now on, however often it must be asked for.</summary>
    public async Task<TimeSpan> ProbeAsync(string id, TimeSpan limit)
    {
        var watch = Stopwatch.StartNew();
        using var until = new CancellationTokenSource(limit);
        var workflow = rig.Workflows.Get<IBank>(id);
        while (true)
        {
            try
            {
                await workflow.StartAsync(new BankJob(0, 0), cancellation: until.Token);
                await workflow.ResultAsync(until.Token);
                return watch.Elapsed;
            }
            catch (WorkflowUnavailableException)
            {
                await PauseAsync();
            }
            catch (OperationCanceledException) when (until.IsCancellationRequested)
            {
                return TimeSpan.MaxValue;
            }
            catch (Exception error)
            {
                findings.Add("typed_errors", $"{id}: {error}");
                return TimeSpan.MaxValue;
            }
        }
    }

    private async Task CallAsync(int caller)
    {
        var random = new Random((seed * 1000) + caller);
        for (var i = 0; !_noMore.IsCancellationRequested; i++)
        {
            var fickle = caller < FickleCallers;
            var amounts = fickle ? [1, 10, 100] : Enumerable.Range(0, Signals).Select(_ => (long)random.Next(1, 1_000_000)).ToArray();
            var asked = new Asked($"{name}-{caller}-{i}", amounts.Sum(), fickle);
            History.Enqueue(asked);
            try
            {
                await (fickle ? AskOnceAsync(asked, amounts, random) : DriveAsync(asked, amounts, random));
            }
            catch (OperationCanceledException) when (_giveUp.IsCancellationRequested)
            {
                return; // The campaign says which did not end.
            }
            catch (WorkflowSetAsideException error)
            {
                findings.Add("all_completed", error.Message);
            }
            catch (Exception error)
            {
                findings.Add("typed_errors", $"{asked.Id}: {error}");
            }
        }
    }

    private async Task DriveAsync(Asked asked, long[] amounts, Random random)
    {
        var workflow = rig.Workflows.Get<IBank>(asked.Id);
        var options = new StartOptions { Delay = random.Next(5) == 0 ? TimeSpan.FromMilliseconds(random.Next(2_000)) : null };
        await AcknowledgedAsync(
            "start", asked.Id, stop => workflow.StartAsync(new BankJob(1 + random.Next(5), amounts.Length), options, stop));
        asked.IsStarted = true;
        for (var n = 0; n < amounts.Length; n++)
        {
            var (amount, messageId) = (amounts[n], $"{asked.Id}-{n}");
            await AcknowledgedAsync("signal", asked.Id, stop => workflow.SignalAsync(w => w.Add(amount), messageId, stop));
            asked.Acknowledged.Enqueue(messageId);
            if (random.Next(3) == 0)
            {
                // Again on purpose.
                await AcknowledgedAsync("signal", asked.Id, stop => workflow.SignalAsync(w => w.Add(amount), messageId, stop));
            }
        }

        if (random.Next(10) == 0)
        {
            await RefusedAsync(asked.Id);
        }

        await WaitForResultAsync(asked, random);
    }

    /// <summary>Repeats nothing that was not answered: it has happened, or it has not.</summary>
    private async Task AskOnceAsync(Asked asked, long[] amounts, Random random)
    {
        var workflow = rig.Workflows.Get<IBank>(asked.Id);
        if (!await OnceAsync("start", asked.Id, stop => workflow.StartAsync(new BankJob(1 + random.Next(5), 0), cancellation: stop)))
        {
            return;
        }

        asked.IsStarted = true;
        foreach (var amount in amounts)
        {
            var messageId = $"{asked.Id}-{amount}";
            if (await OnceAsync("signal", asked.Id, stop => workflow.SignalAsync(w => w.Add(amount), messageId, stop)))
            {
                asked.Acknowledged.Enqueue(messageId);
            }
        }

        await WaitForResultAsync(asked, random);
    }

    /// <summary>What a call without a side effect answers, however often it must be made.</summary>
    public async Task<T> AnswerAsync<T>(Func<CancellationToken, Task<T>> call)
    {
        while (true)
        {
            try
            {
                return await call(_giveUp.Token);
            }
            catch (WorkflowUnavailableException)
            {
                await PauseAsync();
            }
        }
    }

    private async Task WaitForResultAsync(Asked asked, Random random)
    {
        var workflow = rig.Workflows.Get<IBank>(asked.Id);
        while (asked.Result is null)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(_giveUp.Token);
            var isLimited = random.Next(3) == 0;
            if (isLimited)
            {
                limit.CancelAfter(ResultLimit);
            }

            var watch = Stopwatch.StartNew();
            try
            {
                asked.Result = await workflow.ResultAsync(limit.Token);
            }
            catch (WorkflowUnavailableException)
            {
                await PauseAsync();
            }
            catch (OperationCanceledException) when (!_giveUp.IsCancellationRequested)
            {
                // It asks again.
            }
            finally
            {
                if (isLimited)
                {
                    InTime($"result of {asked.Id}", watch);
                }
            }
        }
    }

    /// <summary>A payload beyond the limit is refused with its error, however often the call must be made.</summary>
    private async Task RefusedAsync(string id)
    {
        var tooLong = new string('x', FaultSilo.PayloadSizeMax);
        try
        {
            await AcknowledgedAsync(
                "signal", id, stop => rig.Workflows.Get<IBank>(id).SignalAsync(w => w.Note(tooLong), cancellation: stop));
            findings.Add("payloads_within_the_limit", $"{id} took a signal of {tooLong.Length} characters, or had ended");
        }
        catch (PayloadTooLargeException)
        {
            findings.Looked("payloads_within_the_limit", 1);
        }
    }

    /// <summary>False: it may have happened.</summary>
    private async Task<bool> OnceAsync(string what, string id, Func<CancellationToken, Task> call)
    {
        var watch = Stopwatch.StartNew();
        try
        {
            await call(_giveUp.Token);
            return true;
        }
        catch (Exception error) when (error is WorkflowUnavailableException || (error is WorkflowEndedException && what == "signal"))
        {
            return false;
        }
        finally
        {
            InTime($"{what} of {id}", watch);
        }
    }

    /// <summary>Before a call is repeated.</summary>
    private Task PauseAsync()
    {
        Interlocked.Increment(ref Repeats);
        return Task.Delay(Random.Shared.Next(20, 100), CancellationToken.None);
    }

    /// <summary>A call that took this long was answered within its time-out, or hangs.</summary>
    public void InTime(string what, Stopwatch watch)
    {
        if (watch.Elapsed > CallLimit)
        {
            findings.Add("no_hang", string.Create(CultureInfo.InvariantCulture, $"{what} took {watch.Elapsed.TotalSeconds:F1} s"));
        }

        findings.Looked("no_hang", 1);
        findings.Looked("typed_errors", 1);
    }

    /// <summary>Calls until it is answered.</summary>
    public async Task AcknowledgedAsync(string what, string id, Func<CancellationToken, Task> call)
    {
        while (true)
        {
            _giveUp.Token.ThrowIfCancellationRequested();
            var watch = Stopwatch.StartNew();
            try
            {
                await call(_giveUp.Token);
                return;
            }
            catch (WorkflowUnavailableException)
            {
                await PauseAsync();
            }
            catch (WorkflowEndedException) when (what == "signal")
            {
                return; // A repeat of one that was handled: the workflow ends when it has them all. Whether it had shows in the sum.
            }
            finally
            {
                InTime($"{what} of {id}", watch);
            }
        }
    }
}
