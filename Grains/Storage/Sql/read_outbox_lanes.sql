-- Called by OutboxTable: $1 destination, $2 lanes, $3 rows a lane, $4 the id below which each has nothing.
-- The next rows of lanes whose earlier rows are gone. Order as in read_outbox_page; due is false where the row failed before, and waits.
select null as unused, o.id, o.lane, o.ordinal, o.attempts, coalesce(o.next_at <= actors.now(), true) as due,
    o.at, o.topic, o.key, o.payload, o.bytes, w.run, w.namespace, w.id as workflow,
        (select c.type from actors.codes c where c.code = w.code) as type
from unnest($2::bigint[], $4::bigint[]) with ordinality as l (lane, begin, place)
cross join lateral (
    select * from actors.outbox o where o.lane = l.lane and o.destination = $1 and o.id >= l.begin order by o.id limit $3) o
cross join lateral (select * from actors.runs w where w.instance = o.instance limit 1) w
order by l.place, o.id
