using System.ComponentModel.DataAnnotations;

namespace Actors;

/// <summary>How runs live in memory, and the limits that protect a silo from them.</summary>
public sealed class ExecutionOptions
{
    /// <summary>Most entries that share one commit. More raises throughput under load, and what one failed commit repeats.</summary>
    /// <value>1 to 10,000. Default 500.</value>
    [Range(1, 10_000)]
    public int GroupSizeMax { get; set; } = 500;

    /// <summary>Groups under way at the same time, each on a connection of its own.</summary>
    /// <value>1 to 16. Default 2.</value>
    [Range(1, 16)]
    public int CommitSlots { get; set; } = 2;

    /// <summary>UTF-8 bytes of one payload before the codec: inputs, results, signals, messages. Larger ones are refused with
    /// PayloadTooLargeException.</summary>
    /// <value>1 KiB to 64 MiB. Default 2 MiB.</value>
    [Range(1024, 64 * 1024 * 1024)]
    public int PayloadSizeMax { get; set; } = 2 * 1024 * 1024;

    /// <summary>Bytes of payload that one run may commit at once. A run whose turn produces more is set aside.</summary>
    /// <value>1 MiB to 256 MiB. Default 16 MiB.</value>
    [Range(1024 * 1024, 256 * 1024 * 1024)]
    public int EntrySizeMax { get; set; } = 16 * 1024 * 1024;

    /// <summary>Claims of a run from dead owners without any commit in between, after which it is set aside as one that crashes its
    /// silos.</summary>
    /// <value>1 to 1,000. Default 10.</value>
    [Range(1, 1_000)]
    public int CrashLimit { get; set; } = 10;

    /// <summary>
    /// Whether a run is replayed in a fresh object when it rests and when it has ended, which must come to the same: code that would be set
    /// aside at its first replay is found while it is written. Histories of more than 1,000 rows or 1 MiB are left alone.
    /// </summary>
    /// <value>Default null: <see cref="Actors.ReplayCheck.Throw"/> in the Development environment, else
    /// <see cref="Actors.ReplayCheck.Off"/>.</value>
    public ReplayCheck? ReplayCheck { get; set; }

    /// <summary>Runs in a silo's memory beyond which runs that SQL or a bulk start made wait in the database. Calls and timers are not held
    /// up.</summary>
    /// <value>100 to 10,000,000. Default 20,000.</value>
    [Range(100, 10_000_000)]
    public int ResidentsMax { get; set; } = 20_000;

    /// <summary>How long a run that only waits stays in memory.</summary>
    /// <value>Zero to an hour. Default 2 s.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan RestAfter { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>Runs whose timer is due within this time are brought to, and stay in, memory, so that the timer fires to the
    /// millisecond.</summary>
    /// <value>1 s to 5 minutes. Default 5 s.</value>
    [Range(typeof(TimeSpan), "00:00:01", "00:05:00")]
    public TimeSpan LookAhead { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a silo waits for another one to give a run away before it takes it.</summary>
    /// <value>100 ms to a minute. Default 3 s.</value>
    [Range(typeof(TimeSpan), "00:00:00.100", "00:01:00")]
    public TimeSpan ReleaseWait { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>
    /// How long an ended run is kept, by the database's clock; then its history, its result and its id are gone, and the id may start anew.
    /// A run with an undelivered message or a dead letter stays until it has none. Set it longer than anybody may repeat a start or ask for
    /// a result.
    /// </summary>
    /// <value>1 minute to 10,000 days, or null: for ever. Default null.</value>
    [Range(typeof(TimeSpan), "00:01:00", "10000.00:00:00")]
    public TimeSpan? KeepEndedFor { get; set; }

    /// <summary>
    /// How long at least the ids of messages and requests are remembered, by the database's clock, so that repeats of them change nothing:
    /// as long as the run that took them is kept, and where it is deleted after <see cref="KeepEndedFor"/> and its workflow has a further
    /// run, this long. What was not delivered to a workflow is kept as long.
    /// </summary>
    /// <value>1 minute to 10,000 days. Default 7 days.</value>
    [Range(typeof(TimeSpan), "00:01:00", "10000.00:00:00")]
    public TimeSpan KeepMessageIdsFor { get; set; } = TimeSpan.FromDays(7);

    /// <summary>Connections for transactions of user code, in each silo.</summary>
    /// <value>1 to 1,000. Default 30.</value>
    [Range(1, 1_000)]
    public int TransactionConnectionsMax { get; set; } = 30;

    /// <summary>
    /// Time for one attempt of a step or transaction whose Retry sets none, by the process's clock: then its token is cancelled, and it has
    /// failed, whatever its body still does. A hung body ends so; the status says "runs since" long before. Set it longer than the longest
    /// body, or give that one a time of its own.
    /// </summary>
    /// <value>1 s to 365 days. Default 6 hours.</value>
    [Range(typeof(TimeSpan), "00:00:01", "365.00:00:00")]
    public TimeSpan AttemptTimeout { get; set; } = TimeSpan.FromHours(6);

    /// <summary>Postgres ends a transaction of user code that sends nothing for this long, and its attempt has failed: who waits for others
    /// in a transaction cannot hold its connection and its locks for ever, nor can a stopped process.</summary>
    /// <value>1 s to an hour. Default 1 minute.</value>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan IdleTransactionTimeout { get; set; } = TimeSpan.FromMinutes(1);
}
