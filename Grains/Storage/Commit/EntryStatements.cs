using Npgsql;
using NpgsqlTypes;
using static Actors.Storage.Columns;

namespace Actors.Storage;

/// <summary>
/// What an entry does to the database: a list of effects, each with its SQL file, which take effect together behind one fence. The most
/// frequent entry goes as one statement (<c>commit_transition</c>), which does the same.
/// </summary>
internal static class EntryStatements
{
    private static readonly string CommitTransition = SqlText.Get("commit_transition");

    // Letters are cleared before the fence looks for unread ones; the journal's rows come before those that name their positions, and
    // before the outbox, whose ids are drawn last; a timer that fires in the entry that sets it is not set at all.
    private static readonly EntryEffect[] InOrder =
    [
        new EntryEffect<string>("clear_inbox", entry => entry.ClearedLetters, letters => [Array(letters, l => l.Item, NpgsqlDbType.Text)])
            { Key = entry => entry.Workflow },
        new EntryEffect<(string MessageId, string Reason)>("refuse_inbox", entry => entry.RefusedLetters, letters => [
            Array(letters, l => l.Item.MessageId, NpgsqlDbType.Text), Array(letters, l => l.Item.Reason, NpgsqlDbType.Text)])
            { Key = entry => entry.Workflow },
        new Fence(),
        new EntryEffect<JournalRow>("append_journal", entry => entry.Rows, rows => [
            Array(rows, r => r.Item.DueAt?.UtcDateTime, NpgsqlDbType.TimestampTz),
            Array(rows, r => r.Item.Position, NpgsqlDbType.Integer),
            Array(rows, r => r.Item.Seq, NpgsqlDbType.Integer),
            Array(rows, r => r.Item.TookMilliseconds, NpgsqlDbType.Integer),
            Array(rows, r => (short)r.Item.Kind, NpgsqlDbType.Smallint),
            Array(rows, r => r.Item.Messages, NpgsqlDbType.Integer),
            Array(rows, r => r.Item.Name, NpgsqlDbType.Text),
            Array(rows, r => r.Item.MessageId, NpgsqlDbType.Text),
            Json(rows, r => r.Item.Payload),
            Bytes(rows, r => r.Item.Payload)])
        {
            Shared = batch => One(batch.SiloNumber, NpgsqlDbType.Integer), Answer = (batch, reader) => batch.At = reader.GetTime(0),
        },
        new EntryEffect<JournalRow>("append_message_ids", entry => entry.MessageRows, rows => [
            Array(rows, r => r.Entry.Workflow, NpgsqlDbType.Bigint),
            Array(rows, r => r.Item.Position, NpgsqlDbType.Integer),
            Array(rows, r => r.Item.MessageId, NpgsqlDbType.Text)]),
        new EntryEffect<(int Position, string Reason)>("keep_undelivered", entry => entry.Undelivered, messages => [
            Array(messages, m => m.Item.Position, NpgsqlDbType.Integer), Array(messages, m => m.Item.Reason, NpgsqlDbType.Text)]),
        Outbox,
        new EntryEffect<(int Seq, DateTimeOffset Due)>("set_timers", entry => entry.SetTimers, timers => [
            Array(timers, t => t.Item.Seq, NpgsqlDbType.Integer), Array(timers, t => t.Item.Due.UtcDateTime, NpgsqlDbType.TimestampTz)]),
        new EntryEffect<int>("clear_timers", entry => entry.ClearedTimers, timers => [Array(timers, t => t.Item, NpgsqlDbType.Integer)]),
        new EntryEffect<bool>("clear_waits", entry => entry.ClearsWait ? EntryEffect.Once : [], _ => []),
        new EntryEffect<WaitRow>("keep_waits", entry => entry.Wait is { } wait ? [wait] : [], waits => [
            Array(waits, w => w.Item.Until?.UtcDateTime, NpgsqlDbType.TimestampTz),
            Array(waits, w => w.Item.Seq, NpgsqlDbType.Integer),
            Array(waits, w => w.Item.Others, NpgsqlDbType.Integer),
            Array(waits, w => w.Item.Lacks, NpgsqlDbType.Integer),
            Array(waits, w => (short)w.Item.Kind, NpgsqlDbType.Smallint),
            Array(waits, w => w.Item.Name, NpgsqlDbType.Text)]),
        new EntryEffect<bool>("park", entry => entry.Parks ? EntryEffect.Once : [], _ => []),
        new EntryEffect<bool>("ask_to_wake", entry => entry.WakesOthers ? EntryEffect.Once : [], _ => []),
    ];

    internal static EntryEffect Outbox => new EntryEffect<OutgoingRow>("append_outbox", entry => entry.Outbox, rows => [
        Array(rows, r => r.Item.Ordinal, NpgsqlDbType.Integer),
        Array(rows, r => r.Item.Destination, NpgsqlDbType.Text),
        Array(rows, r => r.Item.Topic, NpgsqlDbType.Text),
        Array(rows, r => r.Item.Key, NpgsqlDbType.Text),
        Json(rows, r => r.Item.Payload),
        Bytes(rows, r => r.Item.Payload)]);

    /// <param name="entries">In the order of instances, each at most once.</param>
    public static void Add(CommitBatch batch, IReadOnlyList<Entry> entries)
    {
        if (entries is [{ IsOrdinary: true } ordinary])
        {
            AddOrdinary(batch, ordinary);
            return;
        }

        foreach (var effect in InOrder)
        {
            effect.Add(batch, entries);
        }
    }

    private static void AddOrdinary(CommitBatch batch, Entry entry)
    {
        var row = entry.Rows[0];
        OutgoingRow? message = entry.Outbox.Count == 1 ? entry.Outbox[0] : null;
        batch.Add(
            CommitTransition,
            reader => batch.At = reader.GetTime(0),
            One(entry.Instance, NpgsqlDbType.Bigint),
            One(batch.Silo, NpgsqlDbType.Uuid),
            One(batch.SiloNumber, NpgsqlDbType.Integer),
            One(entry.Epoch, NpgsqlDbType.Integer),
            One(entry.Position, NpgsqlDbType.Integer),
            One((short)entry.Status, NpgsqlDbType.Smallint),
            One(entry.Ends, NpgsqlDbType.Boolean),
            One(entry.Leaves, NpgsqlDbType.Boolean),
            One(entry.NotBefore?.UtcDateTime, NpgsqlDbType.TimestampTz),
            One(row.Seq, NpgsqlDbType.Integer),
            One(row.TookMilliseconds, NpgsqlDbType.Integer),
            One((short)row.Kind, NpgsqlDbType.Smallint),
            One(row.Messages, NpgsqlDbType.Integer),
            One(row.Name, NpgsqlDbType.Text),
            One(row.MessageId, NpgsqlDbType.Text),
            One(JsonOf(row.Payload), NpgsqlDbType.Json),
            One(BytesOf(row.Payload), NpgsqlDbType.Bytea),
            One(message?.Ordinal, NpgsqlDbType.Integer),
            One(message?.Destination, NpgsqlDbType.Text),
            One(message?.Topic, NpgsqlDbType.Text),
            One(message?.Key, NpgsqlDbType.Text),
            One(message is { } json ? JsonOf(json.Payload) : null, NpgsqlDbType.Json),
            One(message is { } bytes ? BytesOf(bytes.Payload) : null, NpgsqlDbType.Bytea));
    }

    private sealed class Fence() : EntryEffect("advance_runs")
    {
        public override void Add(CommitBatch batch, IReadOnlyList<Entry> entries) => batch.Add(
            For(entries.Count),
            _ => { }, // It has passed.
            Array(entries, e => e.Instance, NpgsqlDbType.Bigint),
            Array(entries, e => e.Epoch, NpgsqlDbType.Integer),
            Array(entries, e => e.Position, NpgsqlDbType.Integer),
            Array(entries, e => e.Next, NpgsqlDbType.Integer),
            Array(entries, e => (short)e.Status, NpgsqlDbType.Smallint),
            Array(entries, e => e.Ends, NpgsqlDbType.Boolean),
            Array(entries, e => e.Leaves, NpgsqlDbType.Boolean),
            Array(entries, e => e.NotBefore?.UtcDateTime, NpgsqlDbType.TimestampTz),
            One(batch.Silo, NpgsqlDbType.Uuid));
    }
}

/// <summary>One thing that entries do, for all entries of a commit in one statement.</summary>
internal abstract class EntryEffect(string file)
{
    /// <summary>For an effect that an entry has or has not.</summary>
    public static readonly IReadOnlyList<bool> Once = [true];

    private readonly GroupStatement _statement = new(file);

    public abstract void Add(CommitBatch batch, IReadOnlyList<Entry> entries);

    protected string For(int rows) => _statement.For(rows);
}

/// <summary>An effect with some items an entry, each a row of arrays: the entry's key and these columns.</summary>
internal sealed class EntryEffect<T>(
    string file, Func<Entry, IReadOnlyList<T>> items, Func<List<(Entry Entry, T Item)>, NpgsqlParameter[]> columns) : EntryEffect(file)
{
    /// <summary>What the rows are found by: the run, or its workflow.</summary>
    public Func<Entry, long> Key { get; init; } = entry => entry.Instance;

    /// <summary>What all rows share, behind the arrays.</summary>
    public Func<CommitBatch, NpgsqlParameter>? Shared { get; init; }

    /// <summary>Reads a row that the statement returns; null where it returns none.</summary>
    public Action<CommitBatch, NpgsqlDataReader>? Answer { get; init; }

    public override void Add(CommitBatch batch, IReadOnlyList<Entry> entries)
    {
        List<(Entry Entry, T Item)>? rows = null;
        foreach (var entry in entries)
        {
            var its = items(entry);
            for (var i = 0; i < its.Count; i++)
            {
                (rows ??= new(entries.Count)).Add((entry, its[i]));
            }
        }

        if (rows is not null)
        {
            batch.Add(
                For(rows.Count),
                Answer is { } answer ? reader => answer(batch, reader) : null,
                [
                    Array(rows, r => Key(r.Entry), NpgsqlDbType.Bigint), .. columns(rows),
                    .. Shared is { } shared ? new[] { shared(batch) } : [],
                ]);
        }
    }
}
