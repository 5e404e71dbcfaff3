-- Called by JournalWriter when it does not know whether a group committed, or which of its members failed the fence. Raises the
-- epoch of each run that is still ours at that epoch, so that a COMMIT on its way can no longer succeed, and returns
-- where each one stands. Missing: another owner has it.
with mine as materialized (
    select w.instance, e.raise
    from unnest($1::bigint[], $2::integer[], $3::boolean[]) as e (instance, epoch, raise)
    join actors.workflows w on w.instance = e.instance and w.epoch = e.epoch
    where w.owner = $4 or (w.owner is null and e.raise) or w.status <> 0
    order by w.instance
    for no key update of w
)
update actors.workflows w
set epoch = w.epoch + mine.raise::int
from mine
where w.instance = mine.instance
returning w.instance, w.epoch, w.position, actors.now() as now,
    exists (select from actors.inbox i where i.instance = w.instance) as mail,
    (select j.at from actors.journal j where j.instance = w.instance and j.position = w.position) as at
