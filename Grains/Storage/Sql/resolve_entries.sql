-- Called by JournalWriter when it does not know whether a group committed, or which of its members failed the fence. With $4 the epochs
-- are raised, so that a COMMIT on its way can no longer succeed. Returns where each run stands that is still at the
-- epoch its owner knows, or up to $3 - 1 above it (earlier tries of this statement whose answer was lost). Missing: another owner has it.
with mine as materialized (
    select w.instance
    from unnest($1::bigint[], $2::integer[], $6::boolean[]) as e (instance, epoch, leaves)
    join actors.runs w on w.instance = e.instance and w.epoch >= e.epoch and w.epoch < e.epoch + $3
    where e.instance between 1 and 9223372036854775807
        and (w.owner is not distinct from $5 or w.owner is null and e.leaves)
    order by w.instance
    for no key update of w
)
update actors.runs w
set epoch = w.epoch + $4::boolean::int
from mine
where w.instance = mine.instance
returning w.instance, w.epoch, w.position, actors.now() as now,
    (select i.id from actors.inbox i where i.workflow = w.workflow and i.state < 1 limit 1) is not null as letters,
    (select j.at from actors.journal j where j.instance = w.instance and j.position = w.position) as at,
    w.owner is null as left_memory
