-- Called by JournalWriter and by a Transaction after advance_workflows, in its transaction. Writes the rows of every entry of the group; a row with a due
-- time is a timer. Returns the time that all rows carry.
with written as (
    insert into actors.journal (instance, at, due_at, position, seq, kind, messages, name, message_id, payload, bytes)
    select r.instance, actors.now(), r.due_at, r.position, r.seq, r.kind, r.messages, r.name, r.message_id, r.payload, r.bytes
    from unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::integer[], $5::smallint[], $6::integer[],
        $7::text[], $8::text[], $9::json[], $10::bytea[])
        as r (instance, due_at, position, seq, kind, messages, name, message_id, payload, bytes)
)
select actors.now()
