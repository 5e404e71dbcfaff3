-- Called by JournalWriter and by a Transaction before advance_workflows, in its transaction: letters that their run cannot read. They stay, marked, for people.
update actors.inbox i set undelivered = true, reason = r.reason
from (select i.ctid, c.reason
      from unnest($1::bigint[], $2::text[], $3::text[]) as c (instance, message_id, reason)
      cross join lateral (select i.ctid from actors.inbox i where i.instance = c.instance and i.message_id = c.message_id limit 1) i) r
where i.ctid = r.ctid
