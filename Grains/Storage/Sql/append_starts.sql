-- Called by JournalWriter right after start_runs, in its transaction. Writes the first journal rows of every run that was made
-- (it exists only if this group, or an earlier try of it, made it; a number that another run has ends the transaction, AC007): what came with
-- the start, and the start itself behind it. Returns them.
insert into actors.journal (instance, at, position, seq, silo, kind, name, message_id, payload, bytes)
select s.instance, actors.now(), s.position, 0, $9, s.kind, s.name, s.message_id, s.payload, s.bytes
from unnest($1::bigint[], $2::uuid[], $3::integer[], $4::smallint[], $5::text[], $6::text[], $7::json[], $8::bytea[])
    as s (instance, run, position, kind, name, message_id, payload, bytes)
cross join lateral (select w.run from actors.runs w where w.instance = s.instance limit 1) w
where actors.require_own_1(w.run = s.run)
on conflict (instance, position) do update set seq = excluded.seq
returning instance, at
