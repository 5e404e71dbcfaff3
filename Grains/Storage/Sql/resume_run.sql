-- Called by the engine on behalf of people: $1 namespace, $2 id, $3 the id of the request. A run that was set aside goes on where its journal
-- ends, and the journal says so; the letter that is only a reason to look makes the sweep find it. A repeat of the request changes nothing,
-- whatever became of the run. Returns a row when this request resumed it.
with asked as (
    select w.instance, w.workflow from actors.runs w where w.namespace = $1 and w.id = $2 and w.latest limit 1
), repeated as (
    select 1 from asked a
    cross join lateral (select from actors.message_ids m where m.workflow = a.workflow and m.message_id = $3 and m.kind = 2 limit 1) m
), resumed as (
    update actors.runs set status = 0, flags = flags & ~1, crash_count = 0, owner = null, position = position + 1
    where instance = (select a.instance from asked a) and status = 3 and not exists (select from repeated)
    returning workflow, instance, epoch, position, code
), written as (
    insert into actors.journal (instance, at, position, seq, kind, name, writer)
    select r.instance, actors.now(), r.position, 0, 18, '', $3 from resumed r
), noted as (
    insert into actors.message_ids (workflow, instance, at, position, kind, message_id)
    select r.workflow, r.instance, actors.now(), r.position, 2, $3 from resumed r
), woken as (
    insert into actors.inbox (workflow, at, code, kind, message_id, name)
    select r.workflow, actors.now(), r.code, 1, chr(1) || 'resume-' || r.epoch, '' from resumed r
    on conflict do nothing
)
select 1 from resumed union all select 1 from repeated
