-- Called by WorkFinder with each sweep, and by itself where one takes long: this silo, $1, counts as alive for $2 from now on, by the database's
-- clock. No row: it was declared dead, and must stop.
update actors.silos set alive_until = actors.now() + $2 where id = $1 and dead_at is null returning actors.now()
