-- Called by Sweeper, once a sweep interval: renews this silo's lease (no row of kind 0: it was declared dead, and must stop), marks mail
-- that came after the end, and finds work that nobody was told of, by state and never by cursor: timers due soon whose run
-- is in nobody's memory (1), unread mail (2), runs of dead owners (3). Mail without a name is looked for in every partition: it is a call for help.
with renewed as (
    update actors.silos set alive_until = actors.now() + $2 where id = $1 and dead_at is null returning 1
), undelivered as (
    update actors.inbox i set undelivered = true
    from actors.workflows w
    where not i.undelivered and w.instance = i.instance and w.status in (1, 2)
    returning 1
)
select 0 as kind, null as namespace, null as id, actors.now() as now from renewed
union all
(select 1, w.namespace, w.id, null
from actors.timers t join actors.workflows w on w.instance = t.instance
where t.due_at <= actors.now() + $3 and w.owner is null and w.status = 0 and w.partition = any($4) and w.type = any($5)
order by t.due_at limit $6)
union all
(select 2, w.namespace, w.id, null
from actors.inbox i join actors.workflows w on w.instance = i.instance
where not i.undelivered and w.status = 0 and (i.name = '' or w.partition = any($4)) and w.type = any($5)
order by i.id limit $6)
union all
(select 3, w.namespace, w.id, null
from actors.silos s join actors.workflows w on w.owner = s.id
where s.dead_at is not null and w.status = 0 and w.partition = any($4) and w.type = any($5)
limit $6)
