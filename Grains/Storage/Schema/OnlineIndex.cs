using System.Text.RegularExpressions;
using Npgsql;

namespace Actors.Storage;

/// <summary>What is there of an index that is built online.</summary>
internal enum IndexState
{
    Missing,

    /// <summary>A build ended before its end.</summary>
    Invalid,

    /// <summary>Somebody works on it, perhaps for a migrator that has died meanwhile.</summary>
    UnderWay,

    Valid,
}

/// <summary>
/// An index that is built outside of a transaction, while others write to its table. Postgres waits meanwhile for every transaction that is
/// older than the build, so nobody may wait for the build in a transaction. Its migrator therefore keeps its turn only until others can see
/// the build; from then on the build's own lock on the table says that somebody builds, for as long as the server works on it. A build
/// that broke off leaves an index that is not valid: the next migrator drops it and builds anew.
/// </summary>
internal sealed partial record OnlineIndex(string Name, string Table, string Statement)
{
    private const string Mark = "-- online";

    private static readonly TimeSpan LookAfter = TimeSpan.FromMilliseconds(250);

    /// <summary>The index of a migration whose first line says that it is built online; null for all other migrations.</summary>
    /// <exception cref="FormatException">The file holds something else than the one statement.</exception>
    public static OnlineIndex? Of(string file, string sql)
    {
        if (sql.Split('\n')[0].TrimEnd() != Mark) return null;
        var match = Pattern().Match(SqlText.WithoutHeader(sql));
        return match.Success
            ? new OnlineIndex(match.Groups["index"].Value, match.Groups["table"].Value, match.Value)
            : throw new FormatException(
                $"{file} begins with '{Mark}', so below its comments it must be one statement, 'create [unique] index concurrently NAME on "
                + "actors.TABLE …;', in lower case, without 'if not exists' and without a further semicolon.");
    }

    /// <summary>For the migrator whose turn it is.</summary>
    public async Task<IndexState> FindAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        // In this order: an index that was under way at the first look and not at the second would seem to be left behind.
        if (await IsUnderWayAsync(connection, cancellation)) return IndexState.UnderWay;
        return await AskAsync(connection, "find_index", cancellation, Name, Table) switch
        {
            true => IndexState.Valid,
            false => IndexState.Invalid,
            _ => IndexState.Missing,
        };
    }

    /// <summary>Builds it, or drops what is there of it, on a connection of its own, and ends the turn when others can see that.</summary>
    public async Task WorkAsync(IndexState found, NpgsqlTransaction turn, StatementProbe probe, CancellationToken cancellation)
    {
        var connection = turn.Connection!;
        var settings = new NpgsqlConnectionStringBuilder(connection.ConnectionString) { Pooling = false, Enlist = false };
        await using var own = connection.CloneWith(settings.ConnectionString); // The pool may have one connection alone.
        await own.OpenAsync(cancellation);
        var drop = SqlText.Get("drop_index").Replace("index_name", Name, StringComparison.Ordinal);
        var work = SendAsync(own, found == IndexState.Invalid ? drop : Statement, probe, cancellation);
        try
        {
            while (await Task.WhenAny(work, Task.Delay(LookAfter, cancellation)) != work
                && !await IsUnderWayAsync(connection, cancellation)) { }
            await turn.RollbackAsync(cancellation);
        }
        finally
        {
            await work;
        }
    }

    /// <summary>In one round trip, but each statement as if it were sent alone: the server refuses such work in a transaction.</summary>
    private static async Task SendAsync(NpgsqlConnection own, string statement, StatementProbe probe, CancellationToken cancellation)
    {
        await using var batch = new NpgsqlBatch(own) { EnableErrorBarriers = true, Timeout = 0 };
        batch.BatchCommands.Add(Limits(asBefore: false));
        batch.BatchCommands.Add(new NpgsqlBatchCommand(statement));
        batch.BatchCommands.Add(Limits(asBefore: true));
        await probe.AroundAsync("migrate", () => batch.ExecuteNonQueryAsync(cancellation), mayBeLong: true);

        static NpgsqlBatchCommand Limits(bool asBefore) =>
            new(SqlText.Get("limit_session")) { Parameters = { new() { Value = asBefore } } };
    }

    private async Task<bool> IsUnderWayAsync(NpgsqlConnection connection, CancellationToken cancellation) =>
        await AskAsync(connection, "is_indexing", cancellation, Table) is true;

    private static async Task<object?> AskAsync(
        NpgsqlConnection connection, string name, CancellationToken cancellation, params string[] values)
    {
        await using var command = new NpgsqlCommand(SqlText.Get(name), connection);
        foreach (var value in values) command.Parameters.Add(new NpgsqlParameter { Value = value });
        return await command.ExecuteScalarAsync(cancellation);
    }

    // Names of 63 characters at most, since Postgres cuts longer ones.
    [GeneratedRegex(@"\Acreate (unique )?index concurrently (?<index>[a-z_][a-z0-9_]{0,62})\s"
        + @"+on actors\.(?<table>[a-z_][a-z0-9_]{0,62})\b[^;]*;\z")]
    private static partial Regex Pattern();
}
