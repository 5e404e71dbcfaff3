-- Called by JournalWriter, first in a group. Makes runs whose id is free, owned by the silo that asks; an id that is taken makes
-- none and harms none: append_starts tells which were made.
insert into actors.workflows (instance, created_at, run, owner, epoch, position, status, namespace, id, type)
select s.instance, actors.now(), s.run, $5, 1, 0, 0, s.namespace, s.id, s.type
from unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $6::text[])
    as s (instance, run, namespace, id, type)
on conflict do nothing
