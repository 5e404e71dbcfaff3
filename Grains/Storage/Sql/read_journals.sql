-- Called by Claims after claim_workflows in the same transaction: the histories of the runs that this silo owns now, in order.
-- With $3 null: of all of them, to answer a query.
select j.instance, j.at, j.due_at, j.position, j.seq, j.kind, j.messages, j.name, j.message_id, j.payload, j.bytes
from unnest($1::text[], $2::text[]) as k (namespace, id)
join actors.workflows w on w.namespace = k.namespace and w.id = k.id and w.latest and ($3::uuid is null or w.owner = $3 and w.status = 0)
join actors.journal j on j.instance = w.instance
where octet_length(k.id) between 1 and 200
order by j.instance, j.position
