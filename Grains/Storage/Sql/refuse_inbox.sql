-- Called by JournalWriter before advance_workflows, in its transaction: mail that its run cannot read. It stays, marked, for people.
update actors.inbox i set undelivered = true
from unnest($1::bigint[], $2::text[]) as c (instance, message_id)
where i.instance = c.instance and i.message_id = c.message_id
