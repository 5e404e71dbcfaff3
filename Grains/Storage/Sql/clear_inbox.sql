-- Called by JournalWriter before advance_workflows, in its transaction: mail that gets its position in the journal in this commit.
delete from actors.inbox i
using unnest($1::bigint[], $2::text[]) as c (instance, message_id)
where i.instance = c.instance and i.message_id = c.message_id
