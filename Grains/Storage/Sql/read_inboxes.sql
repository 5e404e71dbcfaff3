-- Called by Claims after claim_workflows in the same transaction: the mail of the runs that this silo owns now, in the order of
-- arrival. With $3 null: of all of them.
select i.instance, i.message_id, i.name, i.payload, i.bytes
from unnest($1::text[], $2::text[]) as k (namespace, id)
join actors.workflows w on w.namespace = k.namespace and w.id = k.id and w.latest and ($3::uuid is null or w.owner = $3 and w.status = 0)
join actors.inbox i on i.instance = w.instance and not i.undelivered
where octet_length(k.id) between 1 and 200
order by i.instance, i.id
