-- Called at the end of a silo. It is dead, and has left unless it still owns runs: those a sweep finds.
update actors.silos set dead_at = actors.now(),
    left_at = case when (select w.instance from actors.runs w where w.owner = $1 and w.status = 0 limit 1) is null then actors.now() end
where id = $1
