-- Called when a silo starts, before it owns anything. Returns the database's time.
insert into actors.silos (id, started_at, alive_until, name, address)
values ($1, actors.now(), actors.now() + $4, $2, $3)
on conflict (id) do update set alive_until = excluded.alive_until
returning actors.now()
