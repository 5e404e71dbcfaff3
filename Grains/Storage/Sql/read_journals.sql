-- Called by Claims after claim_workflows in the same transaction: the histories of the runs that this silo owns now, in order.
-- With $3 null: of all of them, to answer a query. "offset 0" keeps each part a probe from the one before.
select j.instance, j.at, j.due_at, j.position, j.seq, j.kind, j.messages, j.name, j.message_id, j.payload, j.bytes
from unnest($1::text[], $2::text[]) as k (namespace, id)
cross join lateral (select * from actors.workflows w where w.namespace = k.namespace and w.id = k.id and w.latest limit 1) w
cross join lateral (select * from actors.journal j where j.instance = w.instance offset 0) j
where $3::uuid is null or w.owner = $3 and w.status = 0
order by j.instance, j.position
