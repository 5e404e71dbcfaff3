-- Called by WorkFinder: running runs with letters that nobody has read, wherever they are in memory. $1 the codes that this silo has, $2 its
-- partitions, $3 how many it takes at most. A reason to look is looked for in every partition: it is a call for help.
select m.namespace, m.id
from unnest($1::integer[]) as c (code)
cross join lateral (
    select w.namespace, w.id, i.id as letter
    from actors.inbox i
    cross join lateral (
        select w.namespace, w.id, w.instance, w.code, w.status, w.flags from actors.runs w where w.instance = i.workflow and w.latest
        union all select w.namespace, w.id, w.instance, w.code, w.status, w.flags from actors.runs w where w.workflow = i.workflow and w.workflow <> w.instance and w.latest
        limit 1) w
    where i.code = c.code and i.state = 0 and w.code = any($1) and w.status = 0 and w.flags & 1 = 0
        and (i.kind = 1 or actors.partition_of(w.instance) = any($2))
    order by i.id limit $3) m
order by m.letter limit $3
