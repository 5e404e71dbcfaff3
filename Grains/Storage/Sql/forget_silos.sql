-- Called by Sweeper now and then: dead silos that own nothing any more have left, and their rows go once no journal row can name them: before the oldest run
-- was made. The limit keeps the planner from joining all that is owned.
with gone as (
    delete from actors.silos s
    where s.left_at < coalesce((select w.created_at from actors.runs w where w.instance > 0 order by w.instance limit 1), actors.now()) - interval '1 hour'
)
update actors.silos s set left_at = actors.now()
where s.left_at is null and s.dead_at < actors.now() - interval '1 minute'
    and (select w.instance from actors.runs w where w.owner = s.id and w.status = 0 limit 1) is null
