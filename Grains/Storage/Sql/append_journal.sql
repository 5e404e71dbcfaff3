-- Called by JournalWriter and by a Transaction after advance_runs, in its transaction. Writes the rows of every entry of the group; a row with a due
-- time is a timer. Returns the time that all rows carry.
with written as (
    insert into actors.journal (instance, at, due_at, position, seq, silo, took_ms, messages, kind, name, message_id, payload, bytes)
    select r.instance, actors.now(), r.due_at, r.position, r.seq, $12, r.took_ms, r.messages, r.kind, r.name, r.message_id, r.payload, r.bytes
    from unnest($1::bigint[], $2::timestamptz[], $3::integer[], $4::integer[], $5::integer[], $6::smallint[], $7::integer[],
        $8::text[], $9::text[], $10::json[], $11::bytea[])
        as r (instance, due_at, position, seq, took_ms, kind, messages, name, message_id, payload, bytes)
)
select actors.now()
