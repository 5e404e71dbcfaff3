-- Called by Claims after claim_runs in the same transaction: the letters of the runs that this silo owns now, in the order of
-- arrival, at most $4 letters a run. With $3 null: of all of them. "offset 0" keeps each part a probe from the one before.
select w.instance, i.message_id, i.name, i.payload, i.bytes
from unnest($1::text[], $2::text[]) as k (namespace, id)
cross join lateral (select * from actors.runs w where w.namespace = k.namespace and w.id = k.id and w.latest limit 1) w
cross join lateral (
    select * from (select * from actors.inbox i where i.workflow = w.workflow and i.state < 1 offset 0) i order by i.id limit $4) i
where $3::uuid is null or w.owner = $3 and w.status = 0
order by w.instance, i.id
