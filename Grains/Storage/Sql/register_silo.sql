-- Called when a silo starts, before it owns anything. Returns the database's time and the silo's number. $5: the codes that it has.
insert into actors.silos (id, started_at, alive_until, name, address, codes)
values ($1, actors.now(), actors.now() + $4, $2, $3, $5)
on conflict (id) do update set alive_until = excluded.alive_until, codes = excluded.codes
returning actors.now(), number
