-- Called by OutboxTable: $1 destination, $2 partitions, $3 lanes, $4 rows a lane, $5 the lanes that the relay holds, $6 the floor.
-- Takes the lanes whose first row failed and is due again, with their next rows, and the time until the next one is due. One row at least,
-- without a message where none was found. Order as in read_outbox_page.
with heads as materialized (
    select r.id, r.lane, r.next_at
    from (select o.id, o.lane, o.next_at
          from actors.outbox o
          where o.destination = $1 and o.next_at <= actors.now() and actors.partition_of(o.lane) = any ($2)
          order by o.next_at limit 2 * $3 + cardinality($5)) r
    where r.lane not in (select unnest($5::bigint[]))
        and r.id = (select f.id from actors.outbox f where f.lane = r.lane and f.destination = $1 and f.id >= $6 order by f.id limit 1)
    order by r.next_at limit $3
), later as (
    select case when (select count(*) from heads) = $3 then interval '0'
                else (select n.next_at - actors.now() from actors.outbox n
                      where n.destination = $1 and n.next_at > actors.now() and actors.partition_of(n.lane) = any ($2)
                      order by n.next_at limit 1) end as wait
)
select l.wait, m.*
from later l
left join (
    select o.id, o.lane, o.ordinal, o.attempts, coalesce(o.next_at <= actors.now(), true) as due, o.at, o.topic,
        o.key, o.payload, o.bytes, w.run, w.namespace, w.id as workflow,
        (select c.type from actors.codes c where c.code = w.code) as type, h.next_at as head_at, h.id as head
    from heads h
    cross join lateral (
        select * from actors.outbox o where o.lane = h.lane and o.destination = $1 and o.id >= $6 order by o.id limit $4) o
    cross join lateral (select * from actors.runs w where w.instance = o.instance limit 1) w
) m on true
order by m.head_at, m.head, m.id
