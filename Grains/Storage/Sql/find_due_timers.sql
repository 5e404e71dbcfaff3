-- Called by WorkFinder: runs in nobody's memory with a timer that is due within $4, and those whose time to begin has come. $1 the codes that this silo has, $2 its partitions, $3 how many it
-- takes at most. Begins at the timers; the limits keep the planner from joining whole tables, here and in the other statements of a sweep.
select d.namespace, d.id
from unnest($1::integer[]) as c (code)
cross join lateral (
    select w.namespace, w.id, t.due_at
    from actors.timers t
    cross join lateral (select * from actors.runs w where w.instance = t.instance limit 1) w
    where t.code = c.code and not t.parked and t.due_at <= actors.now() + $4 and w.owner is null
        and (w.status = 0 and t.kind <> 2 and w.flags & 1 = 0 or w.status = 9 and t.kind = 2 and t.due_at <= actors.now())
        and actors.partition_of(w.instance) = any($2)
    order by t.due_at limit $3) d
order by d.due_at limit $3
