-- Called by JournalWriter and by a Transaction after append_journal, in its transaction: the ids of the messages that got their position.
-- One that the workflow took before fails the entry: its owner asks first, so that is never met.
insert into actors.message_ids (workflow, instance, at, position, kind, message_id)
select i.workflow, i.instance, actors.now(), i.position, 0, i.message_id
from unnest($1::bigint[], $2::bigint[], $3::integer[], $4::text[]) as i (instance, workflow, position, message_id)
