-- Called by a run that was told of mail: what has no position in its journal yet, in the order of arrival.
select i.instance, i.message_id, i.name, i.payload, i.bytes
from actors.inbox i
where i.instance = $1 and not i.undelivered
order by i.id
