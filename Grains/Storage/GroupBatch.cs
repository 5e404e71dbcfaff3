using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Actors.Storage;

/// <summary>Writes the statements of a group, as arrays, in the order in which they must run. A statement without rows is left out.</summary>
internal static class GroupBatch
{
    private static readonly GroupStatement StartWorkflows = new("start_workflows");
    private static readonly GroupStatement AppendStarts = new("append_starts");
    private static readonly GroupStatement AppendStartIds = new("append_start_ids");
    private static readonly string CommitStart = SqlText.Get("commit_start");
    private static readonly string RetireRun = SqlText.Get("retire_run");
    private static readonly GroupStatement ClearInbox = new("clear_inbox");
    private static readonly GroupStatement RefuseInbox = new("refuse_inbox");
    private static readonly GroupStatement AdvanceWorkflows = new("advance_workflows");
    private static readonly GroupStatement AppendJournal = new("append_journal");
    private static readonly GroupStatement AppendMessageIds = new("append_message_ids");
    private static readonly GroupStatement KeepUndelivered = new("keep_undelivered");
    private static readonly GroupStatement AppendOutbox = new("append_outbox");
    private static readonly GroupStatement SetTimers = new("set_timers");
    private static readonly GroupStatement AskToWake = new("ask_to_wake");
    private static readonly GroupStatement Park = new("park");
    private static readonly GroupStatement ClearTimers = new("clear_timers");
    private static readonly string CommitTransition = SqlText.Get("commit_transition");

    /// <summary>The starts. The statement that returns rows returns (instance, at) of the runs that were made, and no time for one that
    /// was not.</summary>
    public static void AddStarts(NpgsqlBatch batch, IReadOnlyList<Start> starts, Guid silo)
    {
        foreach (var start in starts.Where(start => start.Retires is not null))
        {
            Statement(batch, RetireRun, new NpgsqlParameter<long> { TypedValue = start.Retires!.Instance });
        }

        if (starts is [{ IsOrdinary: true } alone])
        {
            AddStart(batch, alone, silo);
            return;
        }

        Statement(
            batch,
            StartWorkflows.For(starts.Count),
            new NpgsqlParameter<Guid> { TypedValue = silo },
            Array(starts, s => s.Instance, NpgsqlDbType.Bigint),
            Array(starts, s => s.Workflow, NpgsqlDbType.Bigint),
            Array(starts, s => s.Run, NpgsqlDbType.Uuid),
            Array(starts, s => s.Position, NpgsqlDbType.Integer),
            Array(starts, s => s.Id.Namespace, NpgsqlDbType.Text),
            Array(starts, s => s.Id.Id, NpgsqlDbType.Text),
            Array(starts, s => s.Code, NpgsqlDbType.Integer));
        AddFirstRows(batch, starts);
        AddStartIds(batch, starts);
    }

    private static void AddFirstRows(NpgsqlBatch batch, IReadOnlyList<Start> starts)
    {
        List<(long Instance, JournalRow Row)> rows = [.. starts.SelectMany(start => start.Rows().Select(row => (start.Instance, row)))];
        Statement(
            batch,
            AppendStarts.For(rows.Count),
            Array(rows, r => r.Instance, NpgsqlDbType.Bigint),
            Array(rows, r => r.Row.Position, NpgsqlDbType.Integer),
            Array(rows, r => (short)r.Row.Kind, NpgsqlDbType.Smallint),
            Array(rows, r => r.Row.Name, NpgsqlDbType.Text),
            Array(rows, r => r.Row.MessageId, NpgsqlDbType.Text),
            Json(rows, r => r.Row.Payload),
            Bytes(rows, r => r.Row.Payload));
    }

    private static void AddStartIds(NpgsqlBatch batch, IReadOnlyList<Start> starts)
    {
        var ids = new List<(Start Start, int Position, MessageIdKind Kind, string Id, byte[]? Answer)>();
        foreach (var start in starts.Where(start => !start.IsOrdinary))
        {
            if (start.First is { MessageId: { } message })
            {
                ids.Add((start, 0, MessageIdKind.Message, message, null));
            }

            if (start.RequestId is { } request)
            {
                ids.Add((start, start.Position, MessageIdKind.Start, request, JsonSerializer.SerializeToUtf8Bytes(start.Run)));
            }
        }

        if (ids.Count > 0)
        {
            Statement(
                batch,
                AppendStartIds.For(ids.Count),
                Array(ids, i => i.Start.Workflow, NpgsqlDbType.Bigint),
                Array(ids, i => i.Start.Instance, NpgsqlDbType.Bigint),
                Array(ids, i => i.Position, NpgsqlDbType.Integer),
                Array(ids, i => (short)i.Kind, NpgsqlDbType.Smallint),
                Array(ids, i => i.Id, NpgsqlDbType.Text),
                Array(ids, i => i.Answer, NpgsqlDbType.Json));
        }
    }

    private static void AddStart(NpgsqlBatch batch, Start start, Guid silo) => Statement(
        batch,
        CommitStart,
        One(start.Instance, NpgsqlDbType.Bigint),
        One(start.Workflow, NpgsqlDbType.Bigint),
        One(start.Run, NpgsqlDbType.Uuid),
        One(start.Id.Namespace, NpgsqlDbType.Text),
        One(start.Id.Id, NpgsqlDbType.Text),
        One(silo, NpgsqlDbType.Uuid),
        One(start.Code, NpgsqlDbType.Integer),
        One(start.Type, NpgsqlDbType.Text),
        One(JsonOf(start.Input), NpgsqlDbType.Json),
        One(BytesOf(start.Input), NpgsqlDbType.Bytea));

    /// <summary>The entries. Every statement but append_journal returns nothing or a count; append_journal returns the time of the rows.</summary>
    /// <param name="entries">In the order of instances, each at most once.</param>
    public static void AddEntries(NpgsqlBatch batch, IReadOnlyList<Entry> entries, Guid silo)
    {
        if (entries is [{ IsOrdinary: true } ordinary])
        {
            AddTransition(batch, ordinary, silo);
            return;
        }

        Add(batch, ClearInbox, entries, entry => entry.ClearedMail, mail => [Array(mail, m => m.Item, NpgsqlDbType.Text)]);
        Add(batch, RefuseInbox, entries, entry => entry.RefusedMail, mail => [
            Array(mail, m => m.Item.MessageId, NpgsqlDbType.Text), Array(mail, m => m.Item.Reason, NpgsqlDbType.Text)]);
        Statement(
            batch,
            AdvanceWorkflows.For(entries.Count),
            Array(entries, e => e.Instance, NpgsqlDbType.Bigint),
            Array(entries, e => e.Epoch, NpgsqlDbType.Integer),
            Array(entries, e => e.Position, NpgsqlDbType.Integer),
            Array(entries, e => e.Next, NpgsqlDbType.Integer),
            Array(entries, e => (short)e.Status, NpgsqlDbType.Smallint),
            Array(entries, e => e.Leaves, NpgsqlDbType.Boolean),
            Array(entries, e => e.NotBefore?.UtcDateTime, NpgsqlDbType.TimestampTz),
            new NpgsqlParameter<Guid> { TypedValue = silo });
        AddJournal(batch, entries);
        AddMessageIds(batch, entries);
        Add(batch, KeepUndelivered, entries, entry => entry.Undelivered, messages => [
            Array(messages, m => m.Item.Position, NpgsqlDbType.Integer), Array(messages, m => m.Item.Reason, NpgsqlDbType.Text)]);
        AddOutbox(batch, entries);
        AddTimers(batch, entries);
        Add(batch, ClearTimers, entries, entry => entry.ClearedTimers, timers => [Array(timers, t => t.Item, NpgsqlDbType.Integer)]);
        List<Entry> aside = [.. entries.Where(entry => entry.Status == WorkflowStatus.SetAside)];
        if (aside.Count > 0)
        {
            Statement(batch, Park.For(aside.Count), Array(aside, e => e.Instance, NpgsqlDbType.Bigint));
        }

        List<Entry> wakes = [.. entries.Where(entry => entry.WakesOthers)];
        if (wakes.Count > 0)
        {
            Statement(batch, AskToWake.For(wakes.Count), Array(wakes, e => e.Instance, NpgsqlDbType.Bigint));
        }
    }

    private static void AddTransition(NpgsqlBatch batch, Entry entry, Guid silo)
    {
        var row = entry.Rows[0];
        OutgoingRow? message = entry.Outbox.Count == 1 ? entry.Outbox[0] : null;
        Statement(
            batch,
            CommitTransition,
            One(entry.Instance, NpgsqlDbType.Bigint),
            One(silo, NpgsqlDbType.Uuid),
            One(entry.Epoch, NpgsqlDbType.Integer),
            One(entry.Position, NpgsqlDbType.Integer),
            One((short)entry.Status, NpgsqlDbType.Smallint),
            One(entry.Leaves, NpgsqlDbType.Boolean),
            One(entry.NotBefore?.UtcDateTime, NpgsqlDbType.TimestampTz),
            One(row.Seq, NpgsqlDbType.Integer),
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

    private static void AddJournal(NpgsqlBatch batch, IReadOnlyList<Entry> entries) => Add(batch, AppendJournal, entries, entry => entry.Rows, rows => [
        Array(rows, r => r.Item.DueAt?.UtcDateTime, NpgsqlDbType.TimestampTz),
        Array(rows, r => r.Item.Position, NpgsqlDbType.Integer),
        Array(rows, r => r.Item.Seq, NpgsqlDbType.Integer),
        Array(rows, r => (short)r.Item.Kind, NpgsqlDbType.Smallint),
        Array(rows, r => r.Item.Messages, NpgsqlDbType.Integer),
        Array(rows, r => r.Item.Name, NpgsqlDbType.Text),
        Array(rows, r => r.Item.MessageId, NpgsqlDbType.Text),
        Json(rows, r => r.Item.Payload),
        Bytes(rows, r => r.Item.Payload)]);

    private static void AddMessageIds(NpgsqlBatch batch, IReadOnlyList<Entry> entries)
    {
        List<(Entry Entry, JournalRow Item)>? rows = null;
        foreach (var entry in entries)
        {
            foreach (var row in entry.Rows)
            {
                if (row.MessageId is not null)
                {
                    (rows ??= []).Add((entry, row));
                }
            }
        }

        if (rows is not null)
        {
            Statement(
                batch,
                AppendMessageIds.For(rows.Count),
                Array(rows, r => r.Entry.Workflow, NpgsqlDbType.Bigint),
                Array(rows, r => r.Entry.Instance, NpgsqlDbType.Bigint),
                Array(rows, r => r.Item.Position, NpgsqlDbType.Integer),
                Array(rows, r => r.Item.MessageId, NpgsqlDbType.Text));
        }
    }

    internal static void AddOutbox(NpgsqlBatch batch, IReadOnlyList<Entry> entries) => Add(batch, AppendOutbox, entries, entry => entry.Outbox, rows => [
        Array(rows, r => r.Item.Ordinal, NpgsqlDbType.Integer),
        Array(rows, r => r.Item.Destination, NpgsqlDbType.Text),
        Array(rows, r => r.Item.Topic, NpgsqlDbType.Text),
        Array(rows, r => r.Item.Key, NpgsqlDbType.Text),
        Json(rows, r => r.Item.Payload),
        Bytes(rows, r => r.Item.Payload)]);

    private static void AddTimers(NpgsqlBatch batch, IReadOnlyList<Entry> entries)
    {
        // A timer that fires, or is given up, in the entry that sets it is not set at all; and a retry may set its timer twice in one entry.
        var timers = new Dictionary<(long, int), DateTimeOffset>();
        foreach (var entry in entries.Where(entry => !entry.Ends))
        {
            foreach (var row in entry.Rows)
            {
                if (row.DueAt is { } due && !entry.ClearedTimers.Contains(row.Seq))
                {
                    timers[(entry.Instance, row.Seq)] = due;
                }
            }
        }

        if (timers.Count > 0)
        {
            var rows = timers.ToList();
            Statement(
                batch,
                SetTimers.For(rows.Count),
                Array(rows, r => r.Key.Item1, NpgsqlDbType.Bigint),
                Array(rows, r => r.Key.Item2, NpgsqlDbType.Integer),
                Array(rows, r => r.Value.UtcDateTime, NpgsqlDbType.TimestampTz));
        }
    }

    /// <summary>A row for each item, by its entry's instance and these columns.</summary>
    private static void Add<T>(
        NpgsqlBatch batch,
        GroupStatement statement,
        IReadOnlyList<Entry> entries,
        Func<Entry, IReadOnlyList<T>> select,
        Func<List<(Entry Entry, T Item)>, NpgsqlParameter[]> columns)
    {
        var rows = Flatten(entries, select);
        if (rows.Count > 0)
        {
            Statement(batch, statement.For(rows.Count), [Array(rows, r => r.Entry.Instance, NpgsqlDbType.Bigint), .. columns(rows)]);
        }
    }

    private static List<(Entry Entry, T Item)> Flatten<T>(IReadOnlyList<Entry> entries, Func<Entry, IReadOnlyList<T>> select)
    {
        var flat = new List<(Entry, T)>(entries.Sum(entry => select(entry).Count));
        foreach (var entry in entries)
        {
            var items = select(entry);
            for (var i = 0; i < items.Count; i++)
            {
                flat.Add((entry, items[i]));
            }
        }

        return flat;
    }

    // A payload is in one of two columns: json as it is, bytes where a codec made them.
    private static NpgsqlParameter Json<T>(IReadOnlyList<T> items, Func<T, Wire.Payload> payload) =>
        Array(items, item => JsonOf(payload(item)), NpgsqlDbType.Json);

    private static NpgsqlParameter Bytes<T>(IReadOnlyList<T> items, Func<T, Wire.Payload> payload) =>
        Array(items, item => BytesOf(payload(item)), NpgsqlDbType.Bytea);

    private static byte[]? JsonOf(Wire.Payload payload) => payload.Encoded ? null : payload.Data;

    private static byte[]? BytesOf(Wire.Payload payload) => payload.Encoded ? payload.Data : null;

    private static NpgsqlParameter<T> One<T>(T value, NpgsqlDbType type) => new() { TypedValue = value, NpgsqlDbType = type };

    private static NpgsqlParameter Array<TItem, TValue>(IReadOnlyList<TItem> items, Func<TItem, TValue> value, NpgsqlDbType type)
    {
        if (items.Count == 1)
        {
            return One(value(items[0]), type);
        }

        var (values, given) = (new TValue[items.Count], false);
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = value(items[i]);
            given |= values[i] is not null;
        }

        // Of arrays unnested together the shorter are filled up with nulls: a column of nulls need not be sent.
        return new NpgsqlParameter<TValue[]> { TypedValue = given ? values : [], NpgsqlDbType = NpgsqlDbType.Array | type };
    }

    internal static void Statement(NpgsqlBatch batch, string sql, params NpgsqlParameter[] parameters)
    {
        var command = batch.CreateBatchCommand();
        command.CommandText = sql;
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(parameter);
        }

        batch.BatchCommands.Add(command);
    }

    /// <summary>A statement over arrays, and the same for one row.</summary>
    private sealed class GroupStatement(string name)
    {
        private readonly string _many = SqlText.Get(name);
        private readonly string _one = SqlText.ForOne(name);

        public string For(int rows) => rows == 1 ? _one : _many;
    }
}
