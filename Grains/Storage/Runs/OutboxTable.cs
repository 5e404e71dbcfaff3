using System.Data.Common;
using Actors.Wire;
using Npgsql;

namespace Actors.Storage;

/// <summary>The statements of the outbox relay. Each call is one statement in a commit of its own; what it guarantees stands in its
/// file.</summary>
internal sealed class OutboxTable(NpgsqlDataSource dataSource, StatementProbe? probe = null)
{
    private readonly StatementProbe _probe = probe ?? new StatementProbe();

    /// <summary>A look at each destination. The floors, as in every read: nothing is below them.</summary>
    public async Task<List<OutboxPending>> ReadPendingAsync(string[] destinations, long[] floors, CancellationToken cancellation)
    {
        await using var command = Command("read_outbox_pending", destinations, floors);
        return await ReadAsync(command, reader => new OutboxPending(
            reader.GetString(0), reader.GetBoolean(1), reader.GetBoolean(2), reader.IsDBNull(3) ? null : reader.GetInt64(3),
            reader.GetInt64(4), reader.GetInt64(5), reader.GetString(6)), cancellation);
    }

    /// <summary>Lanes that begin behind <paramref name="after"/>, their rows together and in order; <c>End</c> is null at the end of the
    /// table.</summary>
    public async Task<(List<OutboxRow> Rows, long? End)> ReadPageAsync(
        string destination, short[] partitions, long after, int scan, int lanes, int rowsPerLane, IReadOnlyCollection<long> held,
        long floor, CancellationToken cancellation)
    {
        await using var command = Command(
            "read_outbox_page", destination, partitions, Math.Max(after, floor - 1), scan, lanes, rowsPerLane, held.ToArray(), floor);
        long? end = null;
        var rows = await ReadRowsAsync(command, reader => end = reader.IsDBNull(0) ? null : reader.GetInt64(0), cancellation);
        return (rows, end);
    }

    /// <summary>Lanes whose first row is due again; <c>Wait</c> is the time until the next one is, null where none waits.</summary>
    public async Task<(List<OutboxRow> Rows, TimeSpan? Wait)> ReadRetriesAsync(
        string destination, short[] partitions, int lanes, int rowsPerLane, IReadOnlyCollection<long> held, long floor,
        CancellationToken cancellation)
    {
        await using var command = Command("read_outbox_retries", destination, partitions, lanes, rowsPerLane, held.ToArray(), floor);
        TimeSpan? wait = null;
        var rows = await ReadRowsAsync(
            command, reader => wait = reader.IsDBNull(0) ? null : reader.GetFieldValue<TimeSpan>(0), cancellation);
        return (rows, wait);
    }

    /// <param name="lanes">And below which id each has nothing.</param>
    public async Task<List<OutboxRow>> ReadLanesAsync(
        string destination, IReadOnlyDictionary<long, long> lanes, int rowsPerLane, CancellationToken cancellation)
    {
        await using var command = Command("read_outbox_lanes", destination, lanes.Keys.ToArray(), rowsPerLane, lanes.Values.ToArray());
        return await ReadRowsAsync(command, _ => { }, cancellation);
    }

    /// <summary>Returns the lanes that go on.</summary>
    /// <param name="from">Below it the row's lane has nothing.</param>
    public async Task<HashSet<long>> DeleteAsync(
        string destination, IReadOnlyCollection<OutboxRow> rows, Func<OutboxRow, long> from, CancellationToken cancellation)
    {
        await using var command = Command("delete_outbox", destination, Lanes(rows), Ids(rows), rows.Select(from).ToArray());
        return [.. await ReadAsync(command, reader => reader.GetInt64(0), cancellation)];
    }

    public Task PostponeAsync(IReadOnlyCollection<OutboxFailure> failures, CancellationToken cancellation) =>
        WriteFailuresAsync("postpone_outbox", failures, failures.Select(failure => failure.BackOff).ToArray(), cancellation);

    public Task BuryAsync(IReadOnlyCollection<OutboxFailure> failures, CancellationToken cancellation) =>
        WriteFailuresAsync("bury_outbox", failures, failures.Select(failure => failure.Reason).ToArray(), cancellation);

    public async Task<int> RedriveAsync(string destination, int limit, CancellationToken cancellation)
    {
        await using var command = Command("redrive_outbox", destination, limit);
        return (int)(long)(await _probe.AroundAsync("write outbox", () => command.ExecuteScalarAsync(cancellation)))!;
    }

    public async Task<IReadOnlyList<DeadLetter>> ReadDeadLettersAsync(
        string destination, long after, int most, CancellationToken cancellation)
    {
        await using var command = Command("read_dead_letters", destination, after, most);
        return await ReadAsync(command, reader => new DeadLetter(
            reader.GetInt64(0), reader.GetString(1), reader.GetString(2), reader.GetString(3),
            new WorkflowId(reader.GetString(5), reader.GetString(4)),
            reader.GetTime(6), reader.GetTime(7), reader.GetInt16(8), reader.GetString(9)), cancellation);
    }

    private async Task WriteFailuresAsync(
        string statement, IReadOnlyCollection<OutboxFailure> failures, Array last, CancellationToken cancellation)
    {
        var rows = failures.Select(failure => failure.Row).ToList();
        await using var command = Command(statement, Lanes(rows), Ids(rows), failures.Select(failure => failure.Attempts).ToArray(), last);
        await _probe.AroundAsync("write outbox", () => command.ExecuteNonQueryAsync(cancellation));
    }

    private NpgsqlCommand Command(string statement, params object[] values)
    {
        var command = dataSource.CreateCommand(SqlText.Get(statement));
        foreach (var value in values)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = value });
        }

        return command;
    }

    private Task<List<OutboxRow>> ReadRowsAsync(NpgsqlCommand command, Action<DbDataReader> readFirst, CancellationToken cancellation) =>
        ReadAsync(command, reader =>
        {
            readFirst(reader);
            return reader.IsDBNull(1) ? null : Row(reader);
        }, cancellation);

    private async Task<List<T>> ReadAsync<T>(NpgsqlCommand command, Func<DbDataReader, T?> read, CancellationToken cancellation) =>
        await _probe.AroundAsync("read outbox", async () =>
        {
            var rows = new List<T>();
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            while (await reader.ReadAsync(cancellation))
            {
                if (read(reader) is { } row)
                {
                    rows.Add(row);
                }
            }

            return rows;
        });

    private static OutboxRow Row(DbDataReader reader) => new(
        Id: reader.GetInt64(1), Lane: reader.GetInt64(2), Ordinal: reader.GetInt32(3), Attempts: reader.GetInt16(4),
        Due: reader.GetBoolean(5), At: reader.GetTime(6), Topic: reader.GetString(7), Key: reader.GetString(8),
        Payload: reader.IsDBNull(10)
            ? new Payload(reader.IsDBNull(9) ? null : reader.GetFieldValue<byte[]>(9))
            : new Payload(reader.GetFieldValue<byte[]>(10), Encoded: true),
        Run: reader.GetGuid(11), Namespace: reader.GetString(12), Workflow: reader.GetString(13), Type: reader.GetString(14));

    private static long[] Lanes(IEnumerable<OutboxRow> rows) => [.. rows.Select(row => row.Lane)];

    private static long[] Ids(IEnumerable<OutboxRow> rows) => [.. rows.Select(row => row.Id)];
}
