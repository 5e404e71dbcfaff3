-- Called by WorkFinder now and then: runs that a silo left alone for a journal kind or a flag that it did not know, and that this one knows. $1 the codes
-- that this silo has, $2 how many it takes at most, $3 the last journal kind and $4 the number of flags that it knows. In every partition: the
-- silo there may be the one that left them.
select w.namespace, w.id
from (select x.instance from actors.waits x where x.kind = 4 and x.lacks <= $3
      union all select x.instance from actors.waits x where x.kind = 5 and x.lacks < $4) x
cross join lateral (select * from actors.runs w where w.instance = x.instance limit 1) w
where w.owner is null and w.status = 0 and w.code = any($1)
limit $2
