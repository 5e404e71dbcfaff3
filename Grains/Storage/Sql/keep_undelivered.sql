-- Called by JournalWriter and by a Transaction after append_journal, in its transaction: messages that have their position and that the code cannot read. They
-- come back to the inbox, marked, for people; the journal row that refuses them goes with them.
insert into actors.inbox (workflow, at, code, state, message_id, name, reason, payload, bytes)
select w.workflow, j.at, w.code, 1, j.message_id, j.name, r.reason, j.payload, j.bytes
from unnest($1::bigint[], $2::integer[], $3::text[]) as r (instance, position, reason)
cross join lateral (select * from actors.journal j where j.instance = r.instance and j.position = r.position limit 1) j
cross join lateral (select w.workflow, w.code from actors.runs w where w.instance = r.instance limit 1) w
on conflict (workflow, message_id) do update set state = 1, reason = excluded.reason
