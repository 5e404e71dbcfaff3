-- Called when a silo starts: $1 the stored names of its types, $2 the versions. Returns what stands behind each; a row that is missing was made just now
-- by another transaction, and is seen by the next try.
with made as (
    insert into actors.codes (type, version) select t, v from unnest($1::text[], $2::text[]) as t (t, v) order by t, v on conflict do nothing
    returning code, type, version, contracts, shape
)
select m.code, m.type, m.version, m.contracts, m.shape from made m
union all
select c.code, c.type, c.version, c.contracts, c.shape from unnest($1::text[], $2::text[]) as t (t, v)
cross join lateral (select * from actors.codes c where c.type = t.t and c.version = t.v limit 1) c
