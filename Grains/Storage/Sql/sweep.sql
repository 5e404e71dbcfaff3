-- Called by Sweeper, once a sweep interval: renews this silo's lease (no row of kind 0: it was declared dead, and must stop), marks mail
-- that came after the end, parks what came after a run was set aside, and finds work that nobody was told of, by state and never by cursor: timers due soon whose run
-- is in nobody's memory (1), unread mail (2), runs of dead owners (3), runs that SQL started (4), as many as there is room for. Mail without a
-- name is looked for in every partition: it is a call for help; so are, where $8, new runs that nobody took for ten seconds, as their silo
-- may lack the type; and, where $8, runs of owners that have no row at all (3): a silo that was frozen, buried and forgotten may have started them.
-- Silos whose lease has expired after it was renewed once (before, they start), by id and address (5): whoever sees one like that for long enough, and renews its own meanwhile, declares it dead.
-- Each part begins at what may be work and probes from there; the limits keep the planner from joining whole tables.
with recursive unowned as (
    (select w.owner from actors.workflows w where $8 and w.owner >= '00000000-0000-0000-0000-000000000000' order by w.owner limit 1)
    union all
    select (select w.owner from actors.workflows w where w.owner > u.owner order by w.owner limit 1) from unowned u where u.owner is not null
), renewed as (
    update actors.silos set alive_until = actors.now() + $2 where id = $1 and dead_at is null returning 1
), late as materialized (
    select m.ctid, w.status
    from unnest($5::integer[]) as c (code)
    cross join lateral (select m.ctid, m.instance from actors.inbox m where m.code = c.code and not m.undelivered and not m.parked offset 0) m
    left join lateral (select w.status from actors.workflows w where w.instance = m.instance limit 1) w on true
    where w.status is null or w.status <> 0
    limit 1000
), undelivered as (
    update actors.inbox i set undelivered = true, reason = 'the run has ended'
    where not i.undelivered and i.ctid = any (array(select l.ctid from late l where l.status is distinct from 3))
), parked as (
    update actors.inbox i set parked = true where not i.undelivered and i.ctid = any (array(select l.ctid from late l where l.status = 3))
), fresh as materialized (
    select w.namespace, w.id
    from actors.workflows w
    where w.epoch = 0 and w.status = 0 and actors.partition_of(w.instance) = any($4) and w.code = any($5) limit $7
)
select 0 as kind, null as namespace, null as id, actors.now() as now from renewed
union all
(select 5, s.address, s.id::text, s.alive_until from actors.silos s where s.dead_at is null and s.alive_until < actors.now() and s.id <> $1 and s.alive_until > s.started_at + $2)
union all
(select 1, d.namespace, d.id, null
from unnest($5::integer[]) as c (code)
cross join lateral (
    select w.namespace, w.id, t.due_at
    from actors.timers t
    cross join lateral (select * from actors.workflows w where w.instance = t.instance limit 1) w
    where t.code = c.code and not t.parked and t.due_at <= actors.now() + $3 and w.owner is null and w.status = 0
        and actors.partition_of(w.instance) = any($4)
    order by t.due_at limit $6) d
order by d.due_at limit $6)
union all
(select 2, m.namespace, m.id, null
from unnest($5::integer[]) as c (code)
cross join lateral (
    select w.namespace, w.id, i.id as letter
    from actors.inbox i
    cross join lateral (select * from actors.workflows w where w.instance = i.instance limit 1) w
    where i.code = c.code and not i.undelivered and not i.parked and w.status = 0 and (i.name = '' or actors.partition_of(w.instance) = any($4))
    order by i.id limit $6) m
order by m.letter limit $6)
union all
(select 3, w.namespace, w.id, null
from actors.silos s
cross join lateral unnest($5::integer[]) as c (code)
cross join lateral (
    select * from actors.workflows w
    where w.owner = s.id and w.code = c.code and w.status = 0 and actors.partition_of(w.instance) = any($4) limit $6) w
where s.dead_at is not null limit $6)
union all
(select 3, w.namespace, w.id, null
from unowned u
cross join lateral unnest($5::integer[]) as c (code)
cross join lateral (
    select * from actors.workflows w
    where w.owner = u.owner and w.code = c.code and w.status = 0 and actors.partition_of(w.instance) = any($4) limit $6) w
where u.owner is not null and (select s.id from actors.silos s where s.id = u.owner limit 1) is null limit $6)
union all
select 4, f.namespace, f.id, null from fresh f
union all
(select 4, w.namespace, w.id, null
from actors.workflows w
where $8 and w.epoch = 0 and w.status = 0 and w.code = any($5) and w.created_at < actors.now() - interval '10 seconds' and actors.partition_of(w.instance) <> all($4)
limit least($7, 100))
