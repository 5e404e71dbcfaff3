-- Called by the engine on behalf of people. A run that was set aside goes on where its journal ends; the inbox row makes the sweep find it.
with resumed as (
    update actors.workflows set status = 0, crash_count = 0, owner = null
    where namespace = $1 and id = $2 and latest and status = 3
    returning instance, epoch
)
insert into actors.inbox (instance, at, message_id, name)
select instance, actors.now(), 'resume-' || epoch, '' from resumed
on conflict do nothing
returning 1
