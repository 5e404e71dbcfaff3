namespace Actors.Cluster;

/// <summary>
/// Wakes the relays of the other silos after commits with messages, since the lane of a message may be theirs: at once after a rest, and at
/// most ten times a second while messages go on and on, when each relay reads by itself anyway. A wake that is lost costs a poll's
/// interval.
/// </summary>
internal sealed class RelayWakes(IClusterMembershipService members, ILocalSiloDetails here, IGrainFactory grains, TimeProvider time)
{
    private static readonly TimeSpan Rest = TimeSpan.FromMilliseconds(100);

    private int _wanted;
    private int _waking;

    /// <summary>Costs next to nothing and never waits.</summary>
    public void Wake()
    {
        Interlocked.Exchange(ref _wanted, 1); // A fence, as below: one of the two sees the other.
        if (Volatile.Read(ref _waking) == 0 && Interlocked.Exchange(ref _waking, 1) == 0)
        {
            ThreadPool.UnsafeQueueUserWorkItem(static wakes => _ = wakes.WakeAsync(), this, preferLocal: false);
        }
    }

    private async Task WakeAsync()
    {
        while (Interlocked.Exchange(ref _wanted, 0) == 1)
        {
            try
            {
                WakeOthers();
            }
            catch (Exception)
            {
                // This silo is leaving, or not there yet: the polls find it.
            }

            await Task.Delay(Rest, time);
        }

        Interlocked.Exchange(ref _waking, 0);
        if (Volatile.Read(ref _wanted) == 1)
        {
            Wake(); // It came between the two.
        }
    }

    private void WakeOthers()
    {
        foreach (var member in members.CurrentSnapshot.Members.Values)
        {
            if (member.Status == SiloStatus.Active && !member.SiloAddress.Equals(here.SiloAddress))
            {
                _ = grains.GetGrain<ISiloGrain>(member.SiloAddress.ToParsableString()).WakeRelayAsync();
            }
        }
    }
}
