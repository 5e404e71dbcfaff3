-- Called by Claims, and by a run that was told of mail. In the order of arrival.
select i.instance, i.message_id, i.name, i.payload, i.bytes
from actors.inbox i
where i.instance = any($1::bigint[])
order by i.instance, i.id
