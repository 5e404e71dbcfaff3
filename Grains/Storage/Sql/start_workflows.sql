-- Called by JournalWriter, first in a group. Makes runs whose id is free, owned by the silo that asks, which must live (AC004); an id
-- that is taken makes none and harms none: append_starts tells which were made.
insert into actors.workflows (instance, workflow, created_at, run, owner, epoch, position, status, namespace, id, code)
select s.instance, s.workflow, actors.now(), s.run, $1, 1, s.position, 0, s.namespace, s.id, s.code
from unnest($2::bigint[], $3::bigint[], $4::uuid[], $5::integer[], $6::text[], $7::text[], $8::integer[])
    as s (instance, workflow, run, position, namespace, id, code)
where (select actors.require_silo($1))
on conflict do nothing
