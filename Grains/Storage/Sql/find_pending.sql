-- Called by Retention once a pass: $1 how long ended runs are kept, $2 at most so many. Runs whose messages, older than that, are not delivered
-- or are dead letters; the oldest messages first. Reads the outbox from end to end, which holds what is on its way and nothing else.
select m.instance, m.at
from (
    select o.instance, o.at from actors.outbox o where o.at < actors.now() - $1::interval
    union all
    select d.instance, d.at from actors.dead_letters d where d.at < actors.now() - $1::interval
) m
order by m.at limit $2
