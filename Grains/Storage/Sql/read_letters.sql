-- Called by a run that was told of letters, $1 its workflow: what has no position in its journal yet, in the order of arrival, at most $2 letters. "offset 0" keeps
-- this a read of the run's own letters, whatever waits for others.
select i.workflow, i.message_id, i.name, i.payload, i.bytes
from (select * from actors.inbox i where i.workflow = $1 and i.state < 1 offset 0) i
order by i.id limit $2
