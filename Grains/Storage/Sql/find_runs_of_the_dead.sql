-- Called by WorkFinder: running runs that a silo owns which was declared dead. $1 the codes that this silo has, $2 its partitions, $3 how many it
-- takes at most.
select w.namespace, w.id
from actors.silos s
cross join lateral unnest($1::integer[]) as c (code)
cross join lateral (
    select * from actors.runs w
    where w.owner = s.id and w.code = c.code and w.status = 0 and actors.partition_of(w.instance) = any($2) limit $3) w
where s.left_at is null and s.dead_at is not null limit $3
