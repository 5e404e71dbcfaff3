-- Called when a silo starts: $1 the stored names of its types. Returns what stands behind each; a name that is missing was made just now
-- by another transaction, and is seen by the next try.
with made as (
    insert into actors.codes (type) select t from unnest($1::text[]) t order by t on conflict do nothing returning code, type, contracts, shape
)
select m.code, m.type, m.contracts, m.shape from made m
union all
select c.code, c.type, c.contracts, c.shape from unnest($1::text[]) t
cross join lateral (select * from actors.codes c where c.type = t limit 1) c
