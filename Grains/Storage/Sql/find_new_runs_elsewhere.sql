-- Called by WorkFinder now and then: runs that SQL started in others' partitions and that nobody took for ten seconds, as the silo there may lack their
-- type. $1 the codes that this silo has, $2 its partitions, $3 for how many it has room.
select w.namespace, w.id
from actors.runs w
where w.epoch = 0 and w.status = 0 and w.code = any($1) and w.created_at < actors.now() - interval '10 seconds'
    and actors.partition_of(w.instance) <> all($2)
limit least($3, 100)
