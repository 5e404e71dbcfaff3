-- Called by JournalWriter before advance_workflows, in its transaction: mail that gets its position in the journal in this commit.
delete from actors.inbox i
using unnest($1::bigint[], $2::text[]) as c (instance, message_id)
where c.instance between 1 and 9223372036854775807
    and i.instance = c.instance and i.message_id = c.message_id
