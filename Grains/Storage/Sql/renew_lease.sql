-- Called by Sweeper where a sweep takes long. No row: this silo was declared dead, as its next sweep will find.
update actors.silos set alive_until = actors.now() + $2 where id = $1 and dead_at is null returning id
