-- Called by WorkFinder now and then: running runs of owners that have no row at all, as a silo that was frozen, declared dead and forgotten may have
-- started them. $1 the codes that this silo has, $2 its partitions, $3 how many it takes at most. Steps from owner to owner through their index.
with recursive owners as (
    (select w.owner from actors.runs w where w.owner >= '00000000-0000-0000-0000-000000000000' order by w.owner limit 1)
    union all
    select (select w.owner from actors.runs w where w.owner > o.owner order by w.owner limit 1) from owners o where o.owner is not null
)
select w.namespace, w.id
from owners o
cross join lateral unnest($1::integer[]) as c (code)
cross join lateral (
    select * from actors.runs w
    where w.owner = o.owner and w.code = c.code and w.status = 0 and actors.partition_of(w.instance) = any($2) limit $3) w
where o.owner is not null and (select s.id from actors.silos s where s.id = o.owner limit 1) is null limit $3
