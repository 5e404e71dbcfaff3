namespace Actors.Faults;

/// <summary>What callers do to the system, and to themselves.</summary>
internal sealed partial class Nemesis
{
    private const int Chains = 12;
    private const int RunsOfChain = 3;

    /// <summary>Callers who repeat everything with the same ids, also long after, while a silo is killed and another one's answers are
    /// lost.</summary>
    private async Task RepeatCallsAsync()
    {
        var gateway = Some(1)[0].Gateway;
        gateway.LoseAnswers(_random.Next(5, 20));
        var chains = Enumerable.Range(0, Chains).Select(
            i => RepeatAsync(new Chain($"again-{seed}-{_injected}-{i}"), new Random(_random.Next()))).ToList();
        try
        {
            await KillAsync(1);
        }
        finally
        {
            gateway.Heal();
        }

        await Task.WhenAll(chains).WaitAsync(RecoveryLimit);
    }

    private async Task RepeatAsync(Chain chain, Random random)
    {
        load.Chains.Enqueue(chain);
        var workflow = rig.Workflows.Get<IBank>(chain.Id);
        for (var run = 1; run <= RunsOfChain; run++)
        {
            long[] amounts = [random.Next(1, 1_000_000), random.Next(1, 1_000_000)];
            string[] ids = [$"{chain.Id}-{run}-0", $"{chain.Id}-{run}-1"];
            chain.Requests.Add((run, amounts.Sum()));
            await StartAsync(run);
            foreach (var (amount, id) in chain.Sent)
            {
                await SignalAsync(amount, id); // Of earlier runs: no news for this one.
            }

            await StartAsync(run);
            await SignalAsync(amounts[1], ids[1]);
            await SignalAsync(amounts[0], ids[0]);
            chain.Results[run] = await load.AnswerAsync(stop => workflow.ResultAsync(stop));
            chain.Sent.AddRange(amounts.Zip(ids));
            for (var earlier = 1; earlier <= run; earlier++)
            {
                await StartAsync(earlier);
            }

            Task StartAsync(int number) => load.AcknowledgedAsync("start", chain.Id, async stop =>
            {
                var (amount, id) = number == run ? (amounts[0], ids[0]) : chain.Sent[(number - 1) * 2];
                var started = await workflow.WithSignal(w => w.Add(amount), id).StartAsync(
                    new BankJob(0, 2), new StartOptions { Policy = StartPolicy.StartNew, RequestId = $"request {number}" }, stop);
                chain.Made.Add((number, started.Run));
            });
        }

        Task SignalAsync(long amount, string id) =>
            load.AcknowledgedAsync("signal", chain.Id, stop => workflow.SignalAsync(w => w.Add(amount), id, stop));
    }
}

/// <summary>A workflow that is started anew again and again by one caller, who repeats each of its calls.</summary>
internal sealed class Chain(string id)
{
    public string Id { get; } = id;

    /// <summary>Of each start: what its run is to add up to.</summary>
    public List<(int Number, long Sum)> Requests { get; } = [];

    /// <summary>The run that each try of a start was told of.</summary>
    public List<(int Number, Guid Run)> Made { get; } = [];

    /// <summary>The signals of ended runs.</summary>
    public List<(long Amount, string Id)> Sent { get; } = [];

    public Dictionary<int, long> Results { get; } = [];
}
