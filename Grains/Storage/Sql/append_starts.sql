-- Called by JournalWriter right after start_workflows, in its transaction. Writes the first journal rows of every run that was made
-- (only its maker knows the number, so it exists only if this group, or an earlier try of it, made it): what came with the start, and the
-- start itself behind it. Returns them.
insert into actors.journal (instance, at, position, seq, kind, name, message_id, payload, bytes)
select s.instance, actors.now(), s.position, 0, s.kind, s.name, s.message_id, s.payload, s.bytes
from unnest($1::bigint[], $2::integer[], $3::smallint[], $4::text[], $5::text[], $6::json[], $7::bytea[])
    as s (instance, position, kind, name, message_id, payload, bytes)
where (select w.instance from actors.workflows w where w.instance = s.instance limit 1) is not null
on conflict (instance, position) do update set seq = excluded.seq
returning instance, at
