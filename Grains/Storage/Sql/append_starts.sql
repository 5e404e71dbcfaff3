-- Called by JournalWriter right after start_workflows, in its transaction. Writes journal row 0 of every run that was made
-- (only its maker knows the number, so it exists only if this group, or an
-- earlier try of it, made it), and returns them.
insert into actors.journal (instance, at, position, seq, kind, name, payload, bytes)
select s.instance, actors.now(), 0, 0, 0, s.type, s.payload, s.bytes
from unnest($1::bigint[], $2::text[], $3::json[], $4::bytea[]) as s (instance, type, payload, bytes)
where (select w.instance from actors.workflows w where w.instance = s.instance limit 1) is not null
on conflict (instance, position) do update set seq = excluded.seq
returning instance, at
