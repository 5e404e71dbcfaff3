-- Called by OutboxTable: $1 destination, $2 partitions, $3 end of the last page, $4 rows to look at, $5 lanes, $6 rows a lane, $7 the
-- lanes that the relay holds, $8 the floor, below which there is nothing.
-- Takes the lanes whose first row stands in this page and has not failed, with their next rows. The
-- snapshot alone proves the order: a row is read only behind every older row of its lane that exists. Each probe is a subquery with a
-- limit, which the planner cannot turn into a join over the whole table. One row at least, without a message where none was found.
with heads as materialized (
    select p.id, p.lane
    from (select o.id, o.lane
          from actors.outbox o
          where o.destination = $1 and o.next_at is null and o.id > $3
          order by o.id limit $4) p
    where actors.partition_of(p.lane) = any ($2)
        and p.lane not in (select unnest($7::bigint[]))
        and p.id = (select f.id from actors.outbox f where f.lane = p.lane and f.destination = $1 and f.id >= $8 order by f.id limit 1)
    order by p.id limit $5
), page_end as (
    -- Null where the table ended before the limits.
    select case when (select count(*) from heads) = $5 then (select max(id) from heads)
                else (select o.id from actors.outbox o
                      where o.destination = $1 and o.next_at is null and o.id > $3
                      order by o.id offset $4 - 1 limit 1) end as id
)
select e.id as page_end, m.*
from page_end e
left join (
    select o.id, o.lane, o.ordinal, o.attempts, coalesce(o.next_at <= actors.now(), true) as due, o.at, o.topic,
        o.key, o.payload, o.bytes, w.run, w.namespace, w.id as workflow,
        (select c.type from actors.codes c where c.code = w.code) as type, h.id as head
    from heads h
    cross join lateral (
        select * from actors.outbox o where o.lane = h.lane and o.destination = $1 and o.id >= $8 order by o.id limit $6) o
    cross join lateral (select * from actors.runs w where w.instance = o.instance limit 1) w
) m on true
order by m.head, m.id
