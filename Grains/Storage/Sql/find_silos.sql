-- Called by the membership watch and by a silo that starts: the lease rows behind Orleans' addresses.
select s.id, s.address, s.alive_until, s.dead_at is not null as dead, s.alive_until <= actors.now() as expired
from actors.silos s where s.address = any($1)
