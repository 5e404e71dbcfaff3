-- Called by WorkFinder: runs that SQL started and nobody has claimed. $1 the codes that this silo has, $2 its partitions, $3 for how many it has room.
select w.namespace, w.id
from actors.runs w
where w.epoch = 0 and w.status = 0 and actors.partition_of(w.instance) = any($2) and w.code = any($1) limit $3
