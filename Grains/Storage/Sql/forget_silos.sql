-- Called by Sweeper now and then: rows of dead silos that own nothing any more. The limit keeps the planner from joining all that is owned.
delete from actors.silos s
where s.dead_at < actors.now() - interval '1 minute'
    and (select w.instance from actors.workflows w where w.owner = s.id and w.status = 0 limit 1) is null
