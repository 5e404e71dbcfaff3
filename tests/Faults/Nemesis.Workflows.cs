namespace Actors.Faults;

/// <summary>What workflows do to their silos.</summary>
internal sealed partial class Nemesis
{
    private const int DeedsOfAKind = 3;
    private const int CallsOfABodyMax = 3; // Where its silo or its connection was taken from it meanwhile: else one.

    private const int Bulkies = 24;
    private const int Pieces = 600;
    private static readonly TimeSpan MakingLimit = TimeSpan.FromMinutes(10); // Of no interest: the machine may have other work.

    // 256 MiB: what there is to load takes 860, and eight of them, which could be loaded at once, 290.
    private const string SmallHeap = "0x10000000";

    /// <summary>Bodies of every kind of <see cref="Misdeed.Kinds"/> at once. Each ends as it must, was called no more often than it must
    /// be, and left the rows that it must.</summary>
    private async Task MisbehaveAsync()
    {
        var deeds = (from kind in Misdeed.Kinds.Keys from n in Enumerable.Range(0, DeedsOfAKind)
                     select (Id: $"deed-{seed}-{_injected}-{kind}-{n}", Kind: kind)).ToList();
        var ends = await Task.WhenAll(deeds.Select(deed => EndOfAsync(deed.Id, deed.Kind))).WaitAsync(RecoveryLimit);
        var told = (await File.ReadAllLinesAsync(rig.EffectsFile)).CountBy(line => line).ToDictionary();
        foreach (var ((id, kind), end) in deeds.Zip(ends))
        {
            var (words, rows) = Misdeed.Kinds[kind];
            var calls = told.GetValueOrDefault($"deed {id}");
            var left = await rig.ScalarAsync<long>($"select count(*) from deeds where workflow = '{id}'");
            load.Findings.Looked("misdeeds_are_recorded", 1);
            if (!end.Contains(words, StringComparison.Ordinal) || left != rows || calls is 0 or > CallsOfABodyMax)
            {
                load.Findings.Add("misdeeds_are_recorded", $"{id}: {calls} calls, {left} rows, {end}");
            }
        }
    }

    private async Task<string> EndOfAsync(string id, string kind)
    {
        var deed = rig.Workflows.Get<IMisdeed>(id);
        await load.AcknowledgedAsync("start", id, stop => deed.StartAsync(kind, cancellation: stop));
        return await load.AnswerAsync(stop => deed.ResultAsync(stop));
    }

    /// <summary>
    /// Every silo is killed while many runs wait whose histories are large; all of them are told to go on; and the first silo that is
    /// back, with a heap that holds few of them, must bring them all to their ends.
    /// </summary>
    private async Task LoadMuchAsync()
    {
        var prefix = $"bulky-{seed}-{_injected}-";
        await Task.WhenAll(Enumerable.Range(0, Bulkies).Select(n => rig.Workflows.Get<IBulky>(prefix + n)).Select(run =>
            load.AcknowledgedAsync("start", run.Id.Id, stop => run.StartAsync(Pieces, cancellation: stop))));
        await UntilAllAsync($"position >= {Pieces}", prefix, MakingLimit);
        var (silos, small) = (rig.Silos.ToList(), Some(1)[0]);
        foreach (var silo in silos)
        {
            silo.IsHeldDown = true;
            silo.Process.Kill();
        }

        await Task.WhenAll(silos.Select(silo => silo.Process.ExitedAsync()));
        await rig.ExecuteAsync($"select actors.send(namespace, id, id, 'Go', '[]') from actors.runs where id like '{prefix}%'");
        (small.HeapLimit, small.IsHeldDown) = (SmallHeap, false);
        try
        {
            await UntilAllAsync("status = 1", prefix, RecoveryLimit);
        }
        finally
        {
            small.HeapLimit = Rig.HeapLimit;
            silos.ForEach(silo => silo.IsHeldDown = false);
        }

        await EndAsync(small);
        await Task.WhenAll(silos.Select(silo => silo.Process.ReadyAsync()));
    }

    private async Task UntilAllAsync(string condition, string prefix, TimeSpan limit)
    {
        var count = $"select count(*) from actors.runs where id like '{prefix}%' and {condition}";
        for (var began = DateTime.UtcNow; await rig.ScalarAsync<long>(count) < Bulkies; await Task.Delay(100))
        {
            if (DateTime.UtcNow - began > limit)
            {
                throw new TimeoutException($"Not all of the {Bulkies} large runs came to {condition} within {limit.TotalSeconds} s.");
            }
        }
    }
}
