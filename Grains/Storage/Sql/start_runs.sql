-- Called by JournalWriter, first in a group. Makes runs whose id is free, owned by the silo that asks, which must live (AC004); an id
-- that is taken makes none and harms none: append_starts tells which were made. One with a delay is nobody's, and parked until it begins.
insert into actors.runs (instance, workflow, created_at, run, owner, epoch, position, status, flags, namespace, id, code)
select s.instance, s.workflow, actors.now(), s.run, case when not s.delayed then $1::uuid end, 1, s.position,
    case when s.delayed then 9 else 0 end, s.delayed::integer, s.namespace, s.id, s.code
from unnest($2::bigint[], $3::bigint[], $4::uuid[], $5::integer[], $6::text[], $7::text[], $8::integer[], $9::boolean[])
    as s (instance, workflow, run, position, namespace, id, code, delayed)
where (select actors.require_silo_1($1))
on conflict do nothing
