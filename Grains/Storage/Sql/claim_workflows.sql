-- Called by Claims. Raises the epoch and takes ownership of runs that are released, whose owner is dead, or (forced) whose owner did
-- not answer; never of a type that this silo lacks. A claim from the dead counts as a crash, up to $6: from there on enter_workflow counts, since the silo may
-- have died before it had even loaded the run. Rows are locked in the order of
-- instances, as commits lock them; who owns a row is looked at after its lock is held, so of silos that come together one gets it.
with held as materialized (
    select w.instance, w.owner, k.forced
    from unnest($1::text[], $2::text[], $3::boolean[]) as k (namespace, id, forced)
    join actors.workflows w on w.namespace = k.namespace and w.id = k.id and w.latest
    where octet_length(k.id) between 1 and 200 and w.status = 0 and w.code = any($5::integer[])
    order by w.instance
    for no key update of w
), wanted as (
    select h.instance, d.dead_at is not null as crashed
    from held h left join actors.silos d on d.id = h.owner
    where h.owner is null or h.owner = $4 or d.id is null or d.dead_at is not null or h.forced
)
update actors.workflows w
set epoch = w.epoch + 1, owner = $4, crash_count = case when wanted.crashed and w.crash_count < $6 then w.crash_count + 1 else w.crash_count end
from wanted
where w.instance = wanted.instance
