using System.Text.Json;
using NpgsqlTypes;
using static Actors.Storage.Columns;

namespace Actors.Storage;

/// <summary>The statements that make runs: who has an id free makes it its own, and tells by its answer which were made.</summary>
internal static class StartStatements
{
    private static readonly GroupStatement StartRuns = new("start_runs");
    private static readonly GroupStatement AppendStarts = new("append_starts");
    private static readonly GroupStatement AppendStartIds = new("append_start_ids");
    private static readonly GroupStatement AppendDelays = new("append_delays");
    private static readonly string CommitStart = SqlText.Get("commit_start");
    private static readonly string RetireRun = SqlText.Get("retire_run");

    public static void Add(CommitBatch batch, IReadOnlyList<Start> starts)
    {
        foreach (var start in starts.Where(start => start.Retires is not null))
        {
            batch.Add(RetireRun, null, One(start.Retires!.Instance, NpgsqlDbType.Bigint));
        }

        if (starts is [{ IsOrdinary: true } alone])
        {
            AddOrdinary(batch, alone);
            return;
        }

        batch.Add(
            StartRuns.For(starts.Count),
            null,
            One(batch.Silo, NpgsqlDbType.Uuid),
            Array(starts, s => s.Instance, NpgsqlDbType.Bigint),
            Array(starts, s => s.Workflow, NpgsqlDbType.Bigint),
            Array(starts, s => s.Run, NpgsqlDbType.Uuid),
            Array(starts, s => s.Position, NpgsqlDbType.Integer),
            Array(starts, s => s.Id.Namespace, NpgsqlDbType.Text),
            Array(starts, s => s.Id.Id, NpgsqlDbType.Text),
            Array(starts, s => s.Code, NpgsqlDbType.Integer),
            Array(starts, s => s.Delay is not null, NpgsqlDbType.Boolean));
        AddFirstRows(batch, starts);
        AddIds(batch, starts);
        AddDelays(batch, starts);
    }

    private static void AddOrdinary(CommitBatch batch, Start start) => batch.Add(
        CommitStart,
        reader =>
        {
            if (!reader.IsDBNull(1))
            {
                batch.Made(reader.GetInt64(0), reader.GetTime(1));
            }
        },
        One(start.Instance, NpgsqlDbType.Bigint),
        One(start.Workflow, NpgsqlDbType.Bigint),
        One(start.Run, NpgsqlDbType.Uuid),
        One(start.Id.Namespace, NpgsqlDbType.Text),
        One(start.Id.Id, NpgsqlDbType.Text),
        One(batch.Silo, NpgsqlDbType.Uuid),
        One(batch.SiloNumber, NpgsqlDbType.Integer),
        One(start.Code, NpgsqlDbType.Integer),
        One(start.Type, NpgsqlDbType.Text),
        One(JsonOf(start.Input), NpgsqlDbType.Json),
        One(BytesOf(start.Input), NpgsqlDbType.Bytea));

    private static void AddFirstRows(CommitBatch batch, IReadOnlyList<Start> starts)
    {
        List<(Start Start, JournalRow Row)> rows = [.. starts.SelectMany(start => start.Rows().Select(row => (start, row)))];
        batch.Add(
            AppendStarts.For(rows.Count),
            reader => batch.Made(reader.GetInt64(0), reader.GetTime(1)),
            Array(rows, r => r.Start.Instance, NpgsqlDbType.Bigint),
            Array(rows, r => r.Start.Run, NpgsqlDbType.Uuid),
            Array(rows, r => r.Row.Position, NpgsqlDbType.Integer),
            Array(rows, r => (short)r.Row.Kind, NpgsqlDbType.Smallint),
            Array(rows, r => r.Row.Name, NpgsqlDbType.Text),
            Array(rows, r => r.Row.MessageId, NpgsqlDbType.Text),
            Json(rows, r => r.Row.Payload),
            Bytes(rows, r => r.Row.Payload),
            One(batch.SiloNumber, NpgsqlDbType.Integer));
    }

    private static void AddIds(CommitBatch batch, IReadOnlyList<Start> starts)
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
            batch.Add(
                AppendStartIds.For(ids.Count),
                null,
                Array(ids, i => i.Start.Workflow, NpgsqlDbType.Bigint),
                Array(ids, i => i.Start.Instance, NpgsqlDbType.Bigint),
                Array(ids, i => i.Position, NpgsqlDbType.Integer),
                Array(ids, i => (short)i.Kind, NpgsqlDbType.Smallint),
                Array(ids, i => i.Id, NpgsqlDbType.Text),
                Array(ids, i => i.Answer, NpgsqlDbType.Json));
        }
    }

    private static void AddDelays(CommitBatch batch, IReadOnlyList<Start> starts)
    {
        var delayed = starts.Where(start => start.Delay is not null).ToList();
        if (delayed.Count > 0)
        {
            batch.Add(
                AppendDelays.For(delayed.Count),
                null,
                Array(delayed, s => s.Instance, NpgsqlDbType.Bigint),
                Array(delayed, s => s.Delay!.Value, NpgsqlDbType.Interval));
        }
    }
}
