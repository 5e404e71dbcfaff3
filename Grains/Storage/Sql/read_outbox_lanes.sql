-- Called by OutboxTable: $1 instances and $2 lanes, $3 rows a lane. The next rows of lanes whose earlier rows are gone. Order as in
-- read_outbox_page; due is false where another relay failed the row meanwhile.
select null as unused, o.id, o.instance, o.lane, o.ordinal, o.partition, o.attempts, coalesce(o.next_at <= actors.now(), true) as due,
    o.at, o.topic, o.key, o.payload, o.bytes, w.run, w.namespace, w.id as workflow, w.type
from unnest($1::bigint[], $2::bigint[]) with ordinality as l (instance, lane, place)
cross join lateral (select * from actors.workflows w where w.instance = l.instance limit 1) w
cross join lateral (
    select * from actors.outbox o where o.instance = l.instance and o.lane = l.lane order by o.id limit $3) o
order by l.place, o.id
