-- Called by WorkFinder: other silos than $1 whose lease expired after it was renewed once (before, they start; a lease lasts $2). Whoever sees one
-- like that for long enough, and renews its own meanwhile, declares it dead.
select s.id, s.address, s.alive_until
from actors.silos s
where s.left_at is null and s.dead_at is null and s.alive_until < actors.now() and s.id <> $1 and s.alive_until > s.started_at + $2
