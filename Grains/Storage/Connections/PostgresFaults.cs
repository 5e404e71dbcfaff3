using Npgsql;

namespace Actors.Storage;

/// <summary>What an error of Postgres means for whoever met it. One place for all SQLSTATEs.</summary>
internal static class PostgresFaults
{
    /// <summary>Raised by actors.require_1: a row of the group did not pass the fence.</summary>
    public const string FenceFailed = "AC001";

    /// <summary>Raised by actors.require_silo_1: this silo was declared dead.</summary>
    public const string SiloIsDead = "AC004";

    /// <summary>Raised by actors.require_own_1: another run has the number of a start.</summary>
    public const string NumberIsTaken = "AC007";

    public static bool IsSiloDead(Exception error) => error is PostgresException { SqlState: SiloIsDead };

    /// <summary>True when the server said ERROR: the transaction is rolled back. FATAL and PANIC, and a lost connection, may come after a
    /// commit.</summary>
    public static bool IsCertainAbort(PostgresException error) => error.InvariantSeverity == "ERROR";

    /// <summary>False when the data itself is refused, whenever it comes: bad values, constraints, limits, exceptions of triggers. All else
    /// (locks, conflicts, a server out of room, missing rights or tables) may pass later, by itself or when people have mended
    /// it.</summary>
    public static bool MayPass(PostgresException error) =>
        error.SqlState is not (['2', '2' or '3', ..] or ['5', '4', ..] or ['P', '0', ..]);

    /// <summary>True for what the server or another transaction did to a COMMIT of users' code: conflicts, locks, resources,
    /// administration. All else, codes of users' triggers among it, would come again for ever.</summary>
    public static bool MayCommitLater(PostgresException error) =>
        error.SqlState is ['4', '0', ..] or ['5', '3' or '5' or '7' or '8', ..] or ['X', 'X', ..];

    /// <summary>True for a transaction that lost against another and may simply run again; also when a library has wrapped the
    /// error.</summary>
    public static bool IsConflict(Exception? error) =>
        error is PostgresException { SqlState: PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected }
        || (error is not null && IsConflict(error.InnerException));

    /// <summary>True when the connection was lost on the way, and not closed over something that was to be sent; also when a library has
    /// wrapped the error.</summary>
    public static bool IsLost(Exception? error) =>
        error is PostgresException { InvariantSeverity: not "ERROR" }
        || error is NpgsqlException and not PostgresException and
            { InnerException: null or IOException or TimeoutException or System.Net.Sockets.SocketException }
        || (error is not null && (IsBrokenConversation(error) || IsLost(error.InnerException)));

    /// <summary>True when a table has changed under a statement that was prepared for it: a new connection prepares it anew. By the name of
    /// the server's function, since the code (0A000) says more than this and the words depend on its language.</summary>
    public static bool IsStalePlan(Exception? error) =>
        error is PostgresException { SqlState: PostgresErrorCodes.FeatureNotSupported, Routine: "RevalidateCachedQuery" }
        || (error is not null && IsStalePlan(error.InnerException));

    /// <summary>True when another transaction held what was asked for, for too long or in a circle.</summary>
    public static bool IsLocked(PostgresException error) =>
        error.SqlState is PostgresErrorCodes.LockNotAvailable or PostgresErrorCodes.DeadlockDetected;

    /// <summary>True when the server ended a transaction that its client had left idle for longer than it may; also when a library has
    /// wrapped the error.</summary>
    public static bool IsIdleTimeout(Exception? error) =>
        error is PostgresException { SqlState: "25P03" } || (error is not null && IsIdleTimeout(error.InnerException));

    /// <summary>True for a value that Npgsql could not even write, such as text that is not Unicode: the server never got the whole of
    /// it.</summary>
    public static bool IsUnsendable(Exception error) => error is ArgumentException or InvalidCastException;

    /// <summary>True when Postgres is not there, or not for this connection: wait and go on. A standby that is not promoted yet is not
    /// there.</summary>
    public static bool IsUnreachable(Exception error) =>
        error is PostgresException postgres
            ? postgres.InvariantSeverity != "ERROR" || postgres.SqlState is ['5', '7', ..] or PostgresErrorCodes.ReadOnlySqlTransaction
            : error is NpgsqlException or TimeoutException or IOException or System.Net.Sockets.SocketException
                || IsBrokenConversation(error);

    /// <summary>True when Npgsql got an answer that it did not expect: a plain exception of its own, behind which the connection is
    /// closed.</summary>
    private static bool IsBrokenConversation(Exception error) => error.GetType() == typeof(Exception) && error.Source == nameof(Npgsql);

    /// <summary>Whatever Postgres says, or the way to it.</summary>
    public static bool IsOfPostgres(Exception error) => error is NpgsqlException || IsUnreachable(error);

    /// <summary>What Postgres said, where it may say otherwise when it is asked again; else null.</summary>
    public static string? PassingRefusal(Exception error) =>
        error is PostgresException refusal && MayPass(refusal) ? $"{refusal.SqlState}: {refusal.MessageText}" : null;

    /// <summary>50 ms, doubled with each try up to 2 s, with jitter: waiting for a database to come back.</summary>
    public static TimeSpan Pause(int tries)
    {
        var milliseconds = Math.Min(2000, 50 * Math.Pow(2, Math.Min(tries - 1, 10)));
        return TimeSpan.FromMilliseconds(
            milliseconds * (0.5 + (System.Security.Cryptography.RandomNumberGenerator.GetInt32(1000) / 2000.0)));
    }
}
