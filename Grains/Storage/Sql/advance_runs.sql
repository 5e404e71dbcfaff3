-- Called by JournalWriter and by a Transaction before its COMMIT. The fence: moves each run from the position that its owner knows
-- to the next, if epoch and owner still match, its timers are due, and (for an end) no letter is unread. If one does not
-- pass, the whole transaction fails (AC001) and nothing of the group is written. The row locks last until COMMIT, and are taken in the
-- order of the arrays. For that, and so that a group never costs what the table holds, the plan must probe workflows by key for each
-- member: the range, which holds always, makes the planner expect one member, "is not distinct from" is no condition for an index, and a
-- subquery with a limit is not turned into a join. The other statements over arrays do the same.
with moved as (
    update actors.runs w
    set position = e.next, status = e.status, crash_count = 0,
        owner = case when e.leaves then null else w.owner end,
        ended_at = case when e.ends then actors.now() end
    from unnest($1::bigint[], $2::integer[], $3::integer[], $4::integer[], $5::smallint[], $6::boolean[], $7::boolean[], $8::timestamptz[])
        as e (instance, epoch, position, next, status, ends, leaves, not_before)
    where e.instance between 1 and 9223372036854775807 and w.instance = e.instance
        and w.epoch = e.epoch and w.position = e.position and w.owner is not distinct from $9
        and w.status = 0
        and (e.not_before is null or e.not_before <= actors.now())
        and (not e.ends or (select i.id from actors.inbox i where i.workflow = w.workflow and i.state < 1 limit 1) is null)
    returning 1
)
select actors.require_1(count(*), cardinality($1)) from moved
