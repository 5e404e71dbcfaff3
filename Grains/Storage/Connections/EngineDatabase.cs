using System.Collections.Concurrent;
using System.Data;
using Npgsql;

namespace Actors.Storage;

/// <summary>
/// The engine's connections, in pools, so that nothing starves the journal: those of groups, one a slot; one for the engine's other
/// statements; the settings of both hold their plans; and one for transactions and the work around them.
/// </summary>
internal sealed class EngineDatabase : IAsyncDisposable
{
    // Group statements look up rows by key from arrays. A plan made while a table was empty must still be that plan when it holds millions
    // of rows.
    private const string HeldPlans =
        " -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c "
            + "enable_bitmapscan=off -c jit=off";

    // One member that waits for a lock holds up its group for so long, and those that are sent with it again as long once more.
    private const int GroupLockTimeoutMs = 40;

    // A silo whose machine vanished gives its locks back: the server notices within a quarter of a minute.
    private const string VanishedClients = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2 -c "
        + "tcp_user_timeout=15000";

    private readonly string _connectionString;
    private readonly ConcurrentStack<NpgsqlDataSource> _groups = new();
    private NpgsqlDataSource? _blocking;

    public EngineDatabase(string connectionString, Guid silo, int userConnectionsMax, TimeSpan idleTransactionTimeout, StatementProbe probe)
    {
        (Probe, _connectionString) = (probe, connectionString);
        Silo = silo;
        Engine = Build(connectionString, $"actors engine {silo}", 16, HeldPlans, lockTimeoutMs: 1000);
        _blocking = BuildGroups(blocking: true);
        Patient = Build(connectionString, $"actors patient {silo}", 4, HeldPlans, lockTimeoutMs: 30_000);
        Slow = Build(connectionString, $"actors engine {silo}", 1, HeldPlans, lockTimeoutMs: 1000, limited: false);
        Users = Build(connectionString, $"actors user {silo}", userConnectionsMax,
            $"-c idle_in_transaction_session_timeout={(int)idleTransactionTimeout.TotalMilliseconds}");
    }

    /// <summary>This silo process; a new one each time it starts.</summary>
    public Guid Silo { get; }

    /// <summary>Of its row, by which journal rows name it; null until it has one.</summary>
    public int? SiloNumber { get; set; }

    public StatementProbe Probe { get; }

    /// <summary>Claims, sweeps, relay. Lock waits end after a second, unless the connection string says otherwise, so that one run cannot
    /// hold up many.</summary>
    public NpgsqlDataSource Engine { get; }

    /// <summary>The same for members that left their group because they had to wait.</summary>
    public NpgsqlDataSource Patient { get; }

    /// <summary>For what reads as much as there is, and hurries nobody: no limit on its statements.</summary>
    public NpgsqlDataSource Slow { get; }

    /// <summary>Transactions of users' code. A transaction of a stopped process ends by itself after the idle time-out.</summary>
    public NpgsqlDataSource Users { get; }

    /// <summary>What an error at the start says about the way to the database, or null when it is about something else.</summary>
    public DatabaseAccessException? AccessProblem(Exception error) => DatabaseAccess.Problem(error, _connectionString);

    /// <summary>Prefix and id by which a dead silo's backends are found.</summary>
    public static string ApplicationName(Guid silo) => $"actors user {silo}";

    /// <summary>Runs statements in one round trip and one transaction, and reads what they return.</summary>
    public async ValueTask<T> QueryAsync<T>(
        NpgsqlDataSource source, string name, Action<NpgsqlBatch> build, Func<NpgsqlDataReader, Task<T>> read,
        CancellationToken cancellation = default)
    {
        await using var connection = await source.OpenConnectionAsync(cancellation);
        return await SendAsync(connection, name, build, read, MayBeLong(source), cancellation);
    }

    /// <summary>The same for statements whose commit somebody is told of: a commit with a warning throws
    /// <see cref="CommitInDoubtException"/>.</summary>
    public async ValueTask<T> CommitAsync<T>(NpgsqlDataSource source, Action<NpgsqlBatch> build, Func<NpgsqlDataReader, Task<T>> read)
    {
        await using var connection = await source.OpenConnectionAsync();
        using var doubts = new CommitDoubts(connection);
        var result = await SendAsync(connection, "commit", build, read, MayBeLong(source), CancellationToken.None);
        doubts.ThrowIfAny();
        return result;
    }

    /// <summary>The same for a group, over a connection that only groups use, the one that was used last if it is free: its server process
    /// has at hand what it needs. There are as many as there were ever groups at the same time, and one more, which blocks, for an
    /// <see cref="OwnThread"/>.</summary>
    public async ValueTask<T> CommitGroupAsync<T>(Action<NpgsqlBatch> build, Func<NpgsqlDataReader, Task<T>> read)
    {
        var blocking = OwnThread.IsCurrent ? Interlocked.Exchange(ref _blocking, null) : null;
        var source = blocking ?? (_groups.TryPop(out var last) ? last : BuildGroups());
        try
        {
            return await CommitAsync(source, build, read);
        }
        finally
        {
            if (blocking is null)
            {
                _groups.Push(source);
            }
            else
            {
                _blocking = blocking;
            }
        }
    }

    private bool MayBeLong(NpgsqlDataSource source) => source == Patient || source == Slow;

    private async ValueTask<T> SendAsync<T>(
        NpgsqlConnection connection, string name, Action<NpgsqlBatch> build, Func<NpgsqlDataReader, Task<T>> read, bool mayBeLong,
        CancellationToken cancellation)
    {
        await using var batch = connection.CreateBatch();
        build(batch);
        return await Probe.AroundAsync(
            name,
            async () =>
            {
                await using var reader = await batch.ExecuteReaderAsync(cancellation);
                return await read(reader);
            },
            mayBeLong);
    }

    public async ValueTask<int> ExecuteAsync(string name, Action<NpgsqlBatch> build, CancellationToken cancellation = default)
    {
        await using var connection = await Engine.OpenConnectionAsync(cancellation);
        await using var batch = connection.CreateBatch();
        build(batch);
        return await Probe.AroundAsync(name, () => batch.ExecuteNonQueryAsync(cancellation));
    }

    public async ValueTask DisposeAsync()
    {
        while (_groups.TryPop(out var group))
        {
            await group.DisposeAsync();
        }

        await (_blocking?.DisposeAsync() ?? default);
        await Engine.DisposeAsync();
        await Patient.DisposeAsync();
        await Slow.DisposeAsync();
        await Users.DisposeAsync();
    }

    /// <summary>A Unix-domain socket, by its folder or its abstract name.</summary>
    private static bool IsOfThisMachine(NpgsqlConnectionStringBuilder given) => given.Host is ['/' or '@', ..];

    private NpgsqlDataSource BuildGroups(bool blocking = false) =>
        Build(_connectionString, $"actors engine {Silo}", connectionsMax: 1, HeldPlans, GroupLockTimeoutMs, blocking);

    private static NpgsqlDataSource Build(
        string connectionString, string application, int connectionsMax, string options, int lockTimeoutMs = 0, bool blocking = false,
        bool limited = true)
    {
        var given = new NpgsqlConnectionStringBuilder(connectionString);
        var lockTimeout = lockTimeoutMs == 0 ? "" : $"-c lock_timeout={lockTimeoutMs} ";
        var settings = new NpgsqlConnectionStringBuilder(connectionString)
        {
            ApplicationName = application,
            MaxPoolSize = connectionsMax,
            MinPoolSize = Math.Min(given.MinPoolSize, connectionsMax),
            Options = $"{lockTimeout}{VanishedClients} {given.Options} -c default_transaction_isolation=read\\ committed {options}",
            IncludeErrorDetail = true,
            Enlist = false, // What one caller's transaction scope undoes was done for many.
            // A server that vanished without a word must be noticed while nothing is sent to it, too.
            TcpKeepAlive = true,
        };
        if (!IsOfThisMachine(given)) // Its sockets have no such times, and need none.
        {
            settings.TcpKeepAliveTime = given.TcpKeepAliveTime == 0 ? 10 : given.TcpKeepAliveTime;
            settings.TcpKeepAliveInterval = given.TcpKeepAliveInterval == 0 ? 5 : given.TcpKeepAliveInterval;
        }

        // What is not answered in time is given up with its connection, and its outcome is found out over another. Nothing is cancelled at
        // the server: it may be gone, and a COMMIT that is cancelled while it waits for a standby has happened.
        var ours = !application.StartsWith("actors user", StringComparison.Ordinal);
        var limit = limited ? (int)SilentSocket.Limit.TotalSeconds + (lockTimeoutMs / 1000) : 0;
        settings.CommandTimeout = ours ? limit : settings.CommandTimeout;
        settings.CancellationTimeout = ours ? -1 : settings.CancellationTimeout;
        // Bodies' statements are prepared too, unless the connection string says how many are.
        if (ours || !given.ShouldSerialize("Max Auto Prepare"))
        {
            (settings.MaxAutoPrepare, settings.AutoPrepareMinUsages) = (64, 2);
        }

        // The engine's statements leave nothing behind in a session; resetting it would cost the server more than a step does.
        settings.NoResetOnClose = ours || settings.NoResetOnClose;
        // A group of hundreds goes out in one piece instead of one for each 8 KiB.
        settings.WriteBufferSize = ours ? 64 * 1024 : settings.WriteBufferSize;
        // The engine uses Postgres' own types alone: it need not ask the database for all of them with each pool's first connection.
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString).ConfigureTypeLoading(types => types.EnableTypeLoading(!ours));
        // Users' sessions are reset, and their bodies set what they like: their commits say it themselves (actors.before_entry_1).
        return (ours ? builder.Durable(Prepare) : builder.UsePhysicalConnectionInitializer(Prepare, PrepareAsync)).Build();

        Task PrepareAsync(NpgsqlConnection connection)
        {
            Prepare(connection);
            return Task.CompletedTask;
        }

        void Prepare(NpgsqlConnection connection)
        {
            SilentSocket.GiveUpInTime(connection);
            _ = blocking && BlockingSocket.TryMake(connection);
        }
    }
}
