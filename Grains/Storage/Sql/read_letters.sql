-- Called by a run that was told of letters: what has no position in its journal yet, in the order of arrival, at most $2 letters. "offset 0" keeps
-- this a read of the run's own letters, whatever waits for others.
select i.instance, i.message_id, i.name, i.payload, i.bytes
from (select * from actors.inbox i where i.instance = $1 and not i.undelivered offset 0) i
order by i.id limit $2
