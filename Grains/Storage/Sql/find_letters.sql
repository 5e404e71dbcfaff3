-- Called by WorkFinder: running runs with letters that nobody has read, wherever they are in memory. $1 the codes that this silo has, $2 its
-- partitions, $3 how many it takes at most. A letter without a name is looked for in every partition: it is a call for help.
select m.namespace, m.id
from unnest($1::integer[]) as c (code)
cross join lateral (
    select w.namespace, w.id, i.id as letter
    from actors.inbox i
    cross join lateral (select * from actors.workflows w where w.instance = i.instance limit 1) w
    where i.code = c.code and not i.undelivered and not i.parked and w.status = 0 and (i.name = '' or actors.partition_of(w.instance) = any($2))
    order by i.id limit $3) m
order by m.letter limit $3
