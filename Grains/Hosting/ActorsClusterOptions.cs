using System.ComponentModel.DataAnnotations;
using Actors.Calling;

namespace Actors;

/// <summary>How fast a silo that stopped is found. See OPERATIONS for measured times.</summary>
public enum MembershipProfile
{
    /// <summary>Orleans' own times: safe where silos share machines with others. A killed silo is replaced in seconds, a frozen one in
    /// about a minute.</summary>
    Default,

    /// <summary>One-second probes, two misses: a frozen silo is replaced in under ten seconds. Needs processor time that others cannot
    /// take.</summary>
    Tight,
}

/// <summary>How this silo joins the others.</summary>
public sealed class ActorsClusterOptions
{
    /// <summary>Silos and clients with the same id form one cluster. 1 to 100 characters. Default <c>actors</c>.</summary>
    [Name(100)]
    public string ClusterId { get; set; } = "actors";

    /// <summary>This silo's name in logs and tables; on Kubernetes the pod's. 1 to 100 characters. Default: the machine's name.</summary>
    [Name(100)]
    public string SiloName { get; set; } = Environment.MachineName;

    /// <summary>Address that the other silos and clients reach; on Kubernetes the pod's IP. Default 127.0.0.1.</summary>
    [Required]
    public string AdvertisedAddress { get; set; } = "127.0.0.1";

    /// <summary>Port between silos. 1 to 65,535. Default 11111.</summary>
    [Range(1, 65_535)]
    public int SiloPort { get; set; } = 11111;

    /// <summary>Port for clients. 1 to 65,535. Default 30000.</summary>
    [Range(1, 65_535)]
    public int GatewayPort { get; set; } = 30000;

    /// <summary>Listen on all addresses and not only on the advertised one. Default false.</summary>
    public bool ListenOnAnyAddress { get; set; }

    /// <summary>How fast the cluster finds silos that stopped. Default <see cref="MembershipProfile.Default"/>.</summary>
    public MembershipProfile Membership { get; set; } = MembershipProfile.Default;

    /// <summary>False, in a test: this silo acts on the death of others by its reminders alone.</summary>
    internal bool WatchesMembership { get; set; } = true;

    /// <summary>Bring the schema up to date when the silo starts. Default true; on Kubernetes a Job does it first.</summary>
    public bool Migrate { get; set; } = true;

    /// <summary>
    /// A silo that has not renewed its lease for this long takes no calls and begins no bodies until it can, and may be found dead by a
    /// cluster that starts anew. Silos that renew theirs meanwhile declare it dead after as long again (Tight), or four times as long
    /// (Default).
    /// </summary>
    /// <value>2 s to 5 minutes, and at least four times <see cref="SweepInterval"/>. Default 6 s.</value>
    [Range(typeof(TimeSpan), "00:00:02", "00:05:00")]
    public TimeSpan LeaseDuration { get; set; } = TimeSpan.FromSeconds(6);

    internal TimeSpan BuryAfter => Membership == MembershipProfile.Tight ? LeaseDuration : 4 * LeaseDuration;

    /// <summary>Pause between two looks at the database for work that nobody was told of.</summary>
    /// <value>100 ms to a minute. Default 500 ms.</value>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:01:00")]
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Time that a silo takes at its end to give its workflows away. Shorter than the host's shutdown time-out.</summary>
    /// <value>1 s to 10 minutes. Default 15 s.</value>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan DrainLimit { get; set; } = TimeSpan.FromSeconds(15);
}
