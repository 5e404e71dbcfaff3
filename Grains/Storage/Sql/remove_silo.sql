-- Called at the end of a silo. Kept, as dead, while it still owns runs: a sweep finds them.
with owns as (select 1 from actors.workflows where owner = $1 and status = 0 limit 1),
gone as (delete from actors.silos where id = $1 and not exists (select from owns))
update actors.silos set dead_at = actors.now() where id = $1 and exists (select from owns)
