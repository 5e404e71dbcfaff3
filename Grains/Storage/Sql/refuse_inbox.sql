-- Called by JournalWriter and by a Transaction before advance_runs, in its transaction: letters that their run cannot read. They stay, marked, for people.
update actors.inbox i set state = 1, reason = r.reason
from (select i.ctid, c.reason
      from unnest($1::bigint[], $2::text[], $3::text[]) as c (workflow, message_id, reason)
      cross join lateral (select i.ctid from actors.inbox i where i.workflow = c.workflow and i.message_id = c.message_id limit 1) i) r
where i.ctid = r.ctid
