-- Called by Claims. Raises the epoch and takes ownership of runs that are released, whose owner is dead, or (forced) whose owner did
-- not answer; never of a code that this silo lacks, nor of one that it left alone for something that it still lacks. One whose time has come begins.
-- A claim from the dead counts as a crash, up to $6: from there on enter_run counts, since the silo may
-- have died before it had even loaded the run. Rows are locked in the order of
-- instances, as commits lock them; who owns a row is looked at after its lock is held, so of silos that come together one gets it.
-- $7 and $8: codes of types that this silo has in a declared version, and that version's; the first claim of a run sets it. $9 and $10: the journal
-- kinds and flags that this silo knows.
with held as materialized (
    select w.instance, w.owner, w.status, w.flags, k.forced
    from unnest($1::text[], $2::text[], $3::boolean[]) as k (namespace, id, forced)
    join actors.runs w on w.namespace = k.namespace and w.id = k.id and w.latest
    where octet_length(k.id) between 1 and 200 and w.status in (0, 9) and w.code = any($5::integer[])
    order by w.instance
    for no key update of w
), wanted as (
    select h.instance, d.dead_at is not null as crashed
    from held h
    left join actors.silos d on d.id = h.owner
    where (h.owner is null or h.owner = $4 or d.id is null or d.dead_at is not null or h.forced)
        and (h.status = 0 or (select t.due_at from actors.timers t where t.instance = h.instance and t.seq = 0 and t.kind = 2) <= actors.now())
        and (h.flags & 1 = 0 or (
            select x.kind = 4 and x.lacks > $9 or x.kind = 5 and x.lacks >= $10 from actors.waits x where x.instance = h.instance) is not true)
), begun as (
    delete from actors.timers t using wanted where t.instance = wanted.instance and t.seq = 0 and t.kind = 2
)
update actors.runs w
set epoch = w.epoch + 1, owner = $4, status = 0, crash_count = case when wanted.crashed and w.crash_count < $6 then w.crash_count + 1 else w.crash_count end,
    code = case when w.epoch = 0 or w.status = 9
        then coalesce((select v.declared from unnest($7::integer[], $8::integer[]) as v (undeclared, declared) where v.undeclared = w.code), w.code)
        else w.code end
from wanted
where w.instance = wanted.instance
