-- Called by Claims after claim_runs in the same transaction: the histories of the runs that this silo owns now, in order.
-- With $3 null: of all of them, to answer a query. Whole runs, as long as they fit into $4 bytes of payload, unpacked, together with those before; the
-- others are asked for again. With $5 the first comes in any case. "offset 0" keeps each part a probe from the one before.
select r.instance, r.at, r.due_at, r.position, r.seq, r.kind, r.messages, r.name, r.message_id, r.payload, r.bytes
from (
    select s.*, min(s.upto - s.size) over (partition by s.instance) as began, max(s.upto) over (partition by s.instance) as ended
    from (
        select j.*, sum(j.size) over (order by j.instance, j.position) as upto
        from unnest($1::text[], $2::text[]) as k (namespace, id)
        cross join lateral (select * from actors.runs w where w.namespace = k.namespace and w.id = k.id and w.latest limit 1) w
        cross join lateral (
            select j.*,
                case when pg_column_compression(j.payload) is null then coalesce(pg_column_size(j.payload), 0) else octet_length(j.payload::text) end
                + coalesce(octet_length(j.bytes), 0) as size
            from actors.journal j where j.instance = w.instance offset 0) j
        where $3::uuid is null or w.owner = $3 and w.status = 0) s) r
where r.ended <= $4 or $5 and r.began = 0
order by r.instance, r.position
