using Actors.Wire;
using Npgsql;
using NpgsqlTypes;
using static Actors.Storage.Columns;

namespace Actors.Storage;

/// <summary>What calls read and write about one workflow beside its owner's commits: letters, ids that repeat, outcomes, the opening of
/// what was set aside. Each is one round trip and one transaction.</summary>
internal sealed class RunTable(EngineDatabase database)
{
    private const int UndeliveredMax = 100;

    private static readonly string ReadTime = SqlText.Get("read_time");
    private static readonly string AppendInbox = SqlText.Get("append_inbox");
    private static readonly string FindMessage = SqlText.Get("find_message");
    private static readonly string ReadLastRow = SqlText.Get("read_last_row");
    private static readonly string ReadUndelivered = SqlText.Get("read_undelivered");
    private static readonly string ResumeRun = SqlText.Get("resume_run");
    private static readonly string Unpark = SqlText.Get("unpark");
    private static readonly string ReadWaits = SqlText.Get("read_waits");
    private static readonly string ReadFailures = SqlText.Get("read_failures");
    private static readonly string FindSilosOfCode = SqlText.Get("find_silos_of_code");
    private static readonly string LivingSessions = SqlText.Get("living_sessions");

    /// <summary>The database's time.</summary>
    public ValueTask<DateTimeOffset> ReadTimeAsync(CancellationToken cancellation) => database.QueryAsync(
        database.Engine, "read time", batch => batch.Add(ReadTime), async reader =>
            await reader.ReadAsync(cancellation) ? reader.GetTime(0) : default, cancellation);

    /// <summary>A letter for the workflow's run. True: it is there, now or before; false: the run has ended; null: it belongs to another
    /// contract than the caller's.</summary>
    public ValueTask<bool?> AppendLetterAsync(WorkflowId id, SignalCall signal) => database.QueryAsync<bool?>(
        database.Engine,
        "append inbox",
        batch => batch.Add(
            AppendInbox,
            One(id.Namespace, NpgsqlDbType.Text),
            One(id.Id, NpgsqlDbType.Text),
            One(signal.MessageId, NpgsqlDbType.Text),
            One(signal.Name, NpgsqlDbType.Text),
            One(JsonOf(signal.Payload), NpgsqlDbType.Json),
            One(BytesOf(signal.Payload), NpgsqlDbType.Bytea),
            One(signal.Contracts?.ToArray(), NpgsqlDbType.Array | NpgsqlDbType.Text)),
        async reader => !await reader.ReadAsync() ? false : reader.IsDBNull(0) ? null : reader.GetBoolean(0));

    /// <summary>What a repeat of this id is told, or null when the workflow has not taken it.</summary>
    public ValueTask<Payload?> FindMessageAsync(long workflow, string id, MessageIdKind kind) => database.QueryAsync<Payload?>(
        database.Engine,
        "find message",
        batch => batch.Add(FindMessage, One(workflow, NpgsqlDbType.Bigint), One(id, NpgsqlDbType.Text),
            One((short)kind, NpgsqlDbType.Smallint)),
        async reader => !await reader.ReadAsync() ? null : reader.IsDBNull(1) ? default(Payload)
            : new Payload(reader.GetFieldValue<byte[]>(1)));

    /// <summary>The payload of the run's last row of this kind; null where retention took it.</summary>
    public ValueTask<Payload?> ReadLastRowAsync(long instance, JournalKind kind) => database.QueryAsync<Payload?>(
        database.Engine,
        "read last row",
        batch => batch.Add(ReadLastRow, One(instance, NpgsqlDbType.Bigint), One((short)kind, NpgsqlDbType.Smallint)),
        async reader => await reader.ReadAsync() ? RowReading.Payload(reader, 1) : null);

    /// <summary>What a run in nobody's memory waits for, as it left; null: nothing was noted.</summary>
    public ValueTask<WaitRow?> ReadWaitAsync(long instance) => database.QueryAsync(
        database.Engine,
        "read wait",
        batch => batch.Add(ReadWaits, One(instance, NpgsqlDbType.Bigint)),
        async reader => await reader.ReadAsync()
            ? new WaitRow(
                (WaitingFor)reader.GetInt16(0), reader.GetString(1), reader.GetInt32(3), reader.IsDBNull(2) ? null : reader.GetTime(2),
                reader.GetInt32(4), reader.IsDBNull(5) ? null : reader.GetInt32(5))
            : null);

    /// <summary>The recorded failures of a command, and the last of them; null: there are none.</summary>
    public ValueTask<(int Count, Payload Last)?> ReadFailuresAsync(long instance, int seq) => database.QueryAsync<(int, Payload)?>(
        database.Engine,
        "read failures",
        batch => batch.Add(ReadFailures, One(instance, NpgsqlDbType.Bigint), One(seq, NpgsqlDbType.Integer)),
        async reader => await reader.ReadAsync() ? ((int)reader.GetInt64(0), RowReading.Payload(reader, 1)) : null);

    /// <summary>The addresses of the silos that live and run the code.</summary>
    public ValueTask<HashSet<string>> FindSilosAsync(int code) => database.QueryAsync(
        database.Engine,
        "find silos of code",
        batch => batch.Add(FindSilosOfCode, One(code, NpgsqlDbType.Integer)),
        async reader =>
        {
            var addresses = new HashSet<string>(StringComparer.Ordinal);
            while (await reader.ReadAsync())
            {
                addresses.Add(reader.GetString(0));
            }

            return addresses;
        });

    /// <summary>The oldest messages that its code could not read, at most a hundred.</summary>
    public ValueTask<UndeliveredMessage[]> ReadUndeliveredAsync(long workflow) => database.QueryAsync(
        database.Engine,
        "read undelivered",
        batch => batch.Add(ReadUndelivered, One(workflow, NpgsqlDbType.Bigint), One(UndeliveredMax, NpgsqlDbType.Integer)),
        async reader =>
        {
            var messages = new List<UndeliveredMessage>();
            while (await reader.ReadAsync())
            {
                messages.Add(new UndeliveredMessage(
                    reader.GetString(0), reader.GetString(1), reader.GetTime(2), reader.IsDBNull(3) ? "" : reader.GetString(3)));
            }

            return messages.ToArray();
        });

    /// <summary>True when the workflow had been set aside: it may be claimed again, and sweeps find its timers and letters.</summary>
    public ValueTask<bool> ResumeAsync(WorkflowId id, string requestId) => database.QueryAsync(
        database.Engine,
        "resume",
        batch =>
        {
            batch.Add(ResumeRun, One(id.Namespace, NpgsqlDbType.Text), One(id.Id, NpgsqlDbType.Text),
                One(requestId, NpgsqlDbType.Text));
            batch.Add(Unpark, One(id.Namespace, NpgsqlDbType.Text), One(id.Id, NpgsqlDbType.Text));
        },
        reader => reader.ReadAsync());

    /// <summary>Which of these sessions the server still has, by their processes.</summary>
    public ValueTask<HashSet<int>> ReadLivingSessionsAsync(IEnumerable<int> processes) => database.QueryAsync(
        database.Engine,
        "living sessions",
        batch => batch.Add(LivingSessions, One(processes.ToArray(), NpgsqlDbType.Array | NpgsqlDbType.Integer)),
        async reader =>
        {
            var living = new HashSet<int>();
            while (await reader.ReadAsync())
            {
                living.Add(reader.GetInt32(0));
            }

            return living;
        });
}
