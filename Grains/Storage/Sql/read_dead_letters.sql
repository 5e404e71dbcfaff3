-- Called by OutboxTable: $1 destination, $2 the last id of the page before, $3 at most so many. A page in the order of ids, which is the
-- order in which the messages were written; walks the index of dead letters from there.
select d.id, w.run || ':' || d.ordinal, d.topic, d.key, w.namespace, w.id, d.at, d.died_at, d.attempts, d.reason
from actors.dead_letters d
join actors.runs w on w.instance = d.instance
where d.destination = $1 and d.id > $2
order by d.id
limit $3
