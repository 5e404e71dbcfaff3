-- Called by Sweeper now and then: rows of dead silos that own nothing any more.
delete from actors.silos s
where s.dead_at < actors.now() - interval '1 minute' and not exists (select from actors.workflows w where w.owner = s.id and w.status = 0)
