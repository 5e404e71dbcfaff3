-- Called by JournalWriter after append_starts, in its transaction: by which ids the starts, and the messages that came with them, are
-- repeated. Only of runs that were made; an earlier try of the group may have written them.
insert into actors.message_ids (workflow, instance, at, position, kind, message_id, answer)
select i.workflow, i.instance, actors.now(), i.position, i.kind, i.message_id, i.answer
from unnest($1::bigint[], $2::bigint[], $3::integer[], $4::smallint[], $5::text[], $6::json[])
    as i (workflow, instance, position, kind, message_id, answer)
where (select w.instance from actors.runs w where w.instance = i.instance limit 1) is not null
on conflict do nothing
