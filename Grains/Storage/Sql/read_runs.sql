-- Called by Claims after claim_runs in the same transaction (its snapshot is taken after the claim holds the rows), and alone to look.
select w.namespace, w.id, w.instance, w.run, c.type, w.status, w.epoch, w.position, w.crash_count, w.owner,
    w.created_at, w.ended_at, s.address as owner_address, s.dead_at is not null as owner_dead, w.workflow, w.code, c.version, w.flags,
    case when w.status = 9 then (select t.due_at from actors.timers t where t.instance = w.instance and t.seq = 0 and t.kind = 2) end as begins_at
from unnest($1::text[], $2::text[]) as k (namespace, id)
cross join lateral (select * from actors.runs w where w.namespace = k.namespace and w.id = k.id and w.latest limit 1) w
cross join lateral (select c.type, c.version from actors.codes c where c.code = w.code limit 1) c
left join actors.silos s on s.id = w.owner
