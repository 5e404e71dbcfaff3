#if PLANTED_BUGS
namespace Actors.Storage;

/// <summary>
/// Bugs on purpose, in no build but that of <c>./faults --planted</c>: at most one, as the environment says. The campaign of faults must
/// find it, else it sees nothing. Some are a line where the code would be wrong, the others another text of a statement.
/// </summary>
internal static class Planted
{
    public const string Variable = "ACTORS_PLANTED_BUG";

    private const string Engine = "Migrations/0001_engine.sql";
    private const string Fence = "w.epoch = at_epoch and w.position = at_position and w.owner = for_owner and";
    private const string GroupFence = "w.epoch = e.epoch and w.position = e.position and w.owner is not distinct from $8 and";
    private static readonly string? Bug = Environment.GetEnvironmentVariable(Variable);

    private static readonly (string Bug, string File, string Right, string Wrong)[] Texts =
    [
        ("timers from the local clock", Engine, "not_before is null or not_before <= actors.now()", "true"),
        ("timers from the local clock", "Sql/advance_workflows.sql", "e.not_before is null or e.not_before <= actors.now()", "true"),
        ("no epoch check", Engine, Fence, "w.position = at_position and"),
        ("no epoch check", "Sql/advance_workflows.sql", GroupFence, "w.position = e.position and $8::uuid is not null and"),
        ("lease without fence", Engine, Fence, "exists (select from actors.silos s where s.id = for_owner and s.dead_at is null) and"),
        ("lease without fence", Engine, "set position = at_position + 1", "set position = w.position + 1"),
        ("lease without fence", Engine, "(for_instance, actors.now(), at_position + 1,", PositionOfTheRow),
        ("KEY SHARE instead of the fence's lock", Engine, FenceUpdate,
            "/* only looks */ select w.workflow into its_workflow from actors.workflows w"),
        ("KEY SHARE instead of the fence's lock", Engine, "not i.undelivered))\n    returning w.workflow into its_workflow;",
            "not i.undelivered)) for key share of w;"),
        ("KEY SHARE instead of the fence's lock", Engine, "    return actors.now();\nend $$;\n\n-- One start",
            FenceUpdate + "\n    where w.instance = for_instance;\n    return actors.now();\nend $$;\n\n-- One start"),
        ("blind retry after an unknown commit", Engine, "w.position = at_position and", ""),
        ("blind retry after an unknown commit", Engine, "set position = at_position + 1", "set position = w.position + 1"),
        ("blind retry after an unknown commit", Engine, "(for_instance, actors.now(), at_position + 1,", PositionOfTheRow),
        ("claim and load in one statement", Engine, "-- Timers that have not fired",
            "create table actors.loads (instance bigint, position integer, transaction xid8);\n-- Timers that have not fired"),
        ("claim and load in one statement", "Sql/claim_workflows.sql", "with held as materialized (", """
            with loaded as (
                insert into actors.loads
                select j.instance, max(j.position), pg_current_xact_id()
                from unnest($1::text[], $2::text[]) as k (namespace, id)
                join actors.workflows w on w.namespace = k.namespace and w.id = k.id and w.latest
                join actors.journal j on j.instance = w.instance
                group by j.instance
            ), held as materialized (
            """),
        ("claim and load in one statement", "Sql/read_journals.sql", "w.status = 0", """
            w.status = 0
                and j.position <= (select max(l.position) from actors.loads l where l.instance = j.instance and l.transaction = pg_current_xact_id())
            """),
        ("order of completions lost", "Sql/read_journals.sql", "order by j.instance, j.position",
            "order by j.instance, j.position > 0, j.seq > 0, j.position"),
        ("commits not waited for", "Sql/raise_synchronous_commit.sql", "else 'on' end", "else 'off' end"),
        ("commits not waited for", "Sql/hold_plans.sql", "else 'on' end", "else 'off' end"),
        ("a body's settings stay", Engine, "    reset statement_timeout;\n", ""),
        ("retention that ignores undelivered messages", "Sql/find_pending.sql", "where x.at <", "where false and x.at <"),
    ];

    private const string PositionOfTheRow = "(for_instance, actors.now(), (select w.position from actors.workflows w where w.instance = "
        + "for_instance),";

    private const string FenceUpdate = """
        update actors.workflows w
            set position = at_position + 1, status = new_status, crash_count = 0,
                owner = case when leaves then null else w.owner end,
                ended_at = case when new_status in (1, 2) then actors.now() end
        """;

    public static bool Is(string bug) => bug == Bug;

    public static void Do(string bug, Action wrong)
    {
        if (Is(bug))
        {
            wrong();
        }
    }

    /// <summary>The text of an SQL file, wrong where the bug is in it.</summary>
    public static string Text(string file, string text) =>
        Texts.Where(change => change.Bug == Bug && change.File == file).Aggregate(text, (now, change) =>
        now.Contains(change.Right, StringComparison.Ordinal)
            ? now.Replace(change.Right, change.Wrong, StringComparison.Ordinal)
            : throw new InvalidOperationException($"{file} does not hold '{change.Right}': plant '{Bug}' anew."));

    public static async Task<DateTimeOffset> OutboxAfterCommitAsync(
        EngineDatabase database, Entry entry, Func<Entry, Task<DateTimeOffset>> commit)
    {
        var messages = entry.Outbox.ToList();
        entry.Outbox.Clear();
        var at = await commit(entry);
        entry.Outbox.AddRange(messages);
        await database.ExecuteAsync(
            "write outbox", batch => EntryStatements.Outbox.Add(new CommitBatch([], [], default).On(batch), [entry]));
        return at;
    }
}
#endif
