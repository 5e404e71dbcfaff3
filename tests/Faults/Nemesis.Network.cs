namespace Actors.Faults;

/// <summary>What is done to the ways between processes, and to the outside world.</summary>
internal sealed partial class Nemesis
{
    private Task OnProxyAsync(Action<FaultProxy> harm, int leastMs, int mostMs) => OnAsync(Some(1)[0].Proxy, harm, leastMs, mostMs);

    private async Task OnAsync(FaultProxy proxy, Action<FaultProxy> harm, int leastMs, int mostMs)
    {
        harm(proxy);
        await Task.Delay(_random.Next(leastMs, mostMs + 1));
        proxy.Heal();
    }

    /// <summary>The machine of Postgres is gone for all, and another takes its place: until then nothing is answered, and nothing
    /// refused.</summary>
    private async Task VanishAsync()
    {
        var proxies = rig.Silos.Select(silo => silo.Proxy).ToList();
        proxies.ForEach(proxy => proxy.Vanish());
        await Task.Delay(_random.Next(10_000, 25_000));
        proxies.ForEach(proxy => proxy.Heal());
    }

    /// <summary>No way from one silo to the others, nor back; all of them reach Postgres.</summary>
    private async Task CutOffFromSilosAsync()
    {
        var alone = Some(1)[0];
        var others = rig.Silos.Where(silo => silo != alone).ToList();
        alone.Between.Cut();
        others.ForEach(silo => silo.Between.CutFrom(() => alone.Process.Id));
        await Task.Delay(_random.Next(2000, 15_000));
        alone.Between.Heal();
        others.ForEach(silo => silo.Between.Heal());
    }

    private async Task SinkDownAsync()
    {
        rig.Sink.Kill();
        await Task.Delay(_random.Next(100, 4000));
        await rig.StartSinkAsync();
    }

    private async Task SinkFrozenAsync()
    {
        rig.Sink.Signal("STOP");
        await Task.Delay(_random.Next(1000, 8000));
        rig.Sink.Signal("CONT");
    }

    private async Task WebhooksAsync(ReceiverMode mode)
    {
        rig.Webhooks.Mode = mode;
        await Task.Delay(_random.Next(1000, 6000));
        rig.Webhooks.Mode = ReceiverMode.Works;
    }
}
