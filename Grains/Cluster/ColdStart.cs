using System.ComponentModel.DataAnnotations;
using System.Net;
using Actors.Storage;
using Microsoft.Extensions.Logging;

namespace Actors.Cluster;

/// <summary>
/// Before a silo joins: members of the last cluster that are certainly dead are retired from Orleans' table, so that a cluster of which
/// every silo was killed is back in seconds. Certain is: declared dead; or an older process on this very endpoint; or every member's lease
/// has expired by the database's clock and none was renewed while this silo watched. When unsure, it changes nothing and Orleans decides.
/// </summary>
internal sealed partial class ColdStart(EngineDatabase database, string clusterId, TimeSpan sweepInterval, ILogger<ColdStart> log)
{
    private static readonly TimeSpan ReadEvery = TimeSpan.FromMilliseconds(200);

    private readonly OrleansMembers _members = new(database);

    /// <summary>Longer than a live silo needs to renew its lease after Postgres came back.</summary>
    private readonly TimeSpan _watch = sweepInterval + TimeSpan.FromSeconds(3);

    /// <summary>Longer than a live silo needs between two renewals.</summary>
    private readonly TimeSpan _alone = (2 * sweepInterval) + TimeSpan.FromSeconds(1);

    public async Task RetireDeadMembersAsync(SiloAddress here, CancellationToken cancellation)
    {
        var listed = await ListedAsync();
        var members = listed.ConvertAll(member => member.Address);
        var first = await MembershipWatch.FindAsync(database, members);
        var elsewhere = listed.Where(m => m.Host != Dns.GetHostName() && m.Address.Endpoint.Equals(here.Endpoint)).Select(m => m.Address);
        await RequireAloneAsync(here.Endpoint, [.. elsewhere], first, cancellation);
        var certain = members.Where(
            m => m.Endpoint.Equals(here.Endpoint) || first.Find(l => l.Address == m.ToParsableString()) is null or { Dead: true }).ToList();
        var unsure = members.Except(certain).ToList();
        if (unsure.Count > 0 && await AllExpireAsync(first, unsure, cancellation))
        {
            certain.AddRange(unsure);
        }

        foreach (var member in certain)
        {
            LogRetired(member.ToParsableString());
            await RetireAsync(member);
            foreach (var lease in first.Where(lease => lease.Address == member.ToParsableString()))
            {
                await SiloRegistry.DeclareDeadAsync(database.Users, lease.Id, cancellation);
            }
        }
    }

    /// <summary>No process of another host renews the lease of this endpoint: two machines with an address that is each one's own, as
    /// 127.0.0.1 is, would retire each other by turns. On one machine the ports tell.</summary>
    /// <exception cref="ValidationException">One does.</exception>
    private async Task RequireAloneAsync(
        IPEndPoint here, List<SiloAddress> same, List<SiloLease> first, CancellationToken cancellation)
    {
        var addresses = same.ConvertAll(member => member.ToParsableString());
        var alive = first.FindAll(lease => lease is { Dead: false, Expired: false } && addresses.Contains(lease.Address));
        var began = TimeProvider.System.GetTimestamp();
        for (; alive.Count > 0 && TimeProvider.System.GetElapsedTime(began) < _alone; await Task.Delay(ReadEvery, cancellation))
        {
            var now = await MembershipWatch.FindAsync(database, same);
            if (now.Exists(lease => lease.AliveUntil > alive.Find(before => before.Id == lease.Id)?.AliveUntil))
            {
                throw new ValidationException(
                    $"AdvertisedAddress: another silo is alive at {here}, on another machine. "
                    + "Give each an address that the others reach it at.");
            }
        }
    }

    /// <summary>False as soon as one lease is renewed: somebody lives. True when all have expired and were watched long enough.</summary>
    private async Task<bool> AllExpireAsync(List<SiloLease> first, List<SiloAddress> unsure, CancellationToken cancellation)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var now = await MembershipWatch.FindAsync(database, unsure);
            if (now.Exists(lease => lease.AliveUntil > first.Find(f => f.Id == lease.Id)?.AliveUntil))
            {
                return false;
            }

            if (now.TrueForAll(lease => lease.Expired || lease.Dead) && TimeProvider.System.GetElapsedTime(began) > _watch)
            {
                return true;
            }

            await Task.Delay(ReadEvery, cancellation);
        }
    }

    private async Task<List<(SiloAddress Address, string Host)>> ListedAsync() =>
        [.. (await _members.ReadAsync(clusterId)).Where(member => (SiloStatus)member.Status != SiloStatus.Dead).Select(member =>
            (SiloAddress.New(IPAddress.Parse(member.Address), member.Port, member.Generation), member.Host))];

    private Task RetireAsync(SiloAddress member) =>
        _members.RetireAsync(clusterId, $"{member.Endpoint.Address}", member.Endpoint.Port, member.Generation);

    [LoggerMessage(621, LogLevel.Information, "Silo {Address} of the last cluster is dead; retired from the membership table.")]
    private partial void LogRetired(string address);
}
