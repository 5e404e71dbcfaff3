-- Called by Claims after claim_workflows in the same transaction: the histories of the runs that this silo owns now, in order.
-- With $3 null: of all of them, to answer a query. Whole runs, as long as those before take less than $4 bytes as Postgres keeps them: the first in any
-- case, the others are asked for again. "offset 0" keeps each part a probe from the one before.
select r.instance, r.at, r.due_at, r.position, r.seq, r.kind, r.messages, r.name, r.message_id, r.payload, r.bytes
from (
    select s.*, min(s.upto - s.size) over (partition by s.instance) as began
    from (
        select j.*, sum(j.size) over (order by j.instance, j.position) as upto
        from unnest($1::text[], $2::text[]) as k (namespace, id)
        cross join lateral (select * from actors.workflows w where w.namespace = k.namespace and w.id = k.id and w.latest limit 1) w
        cross join lateral (
            select j.*, coalesce(pg_column_size(j.payload), 0) + coalesce(pg_column_size(j.bytes), 0) as size
            from actors.journal j where j.instance = w.instance offset 0) j
        where $3::uuid is null or w.owner = $3 and w.status = 0) s) r
where r.began < $4 or r.began = 0
order by r.instance, r.position
