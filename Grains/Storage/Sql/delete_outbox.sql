-- Called by OutboxTable after acknowledgements: $1 destination, $2 lanes, $3 ids, $4 below which id the lane has nothing.
-- A repeat changes nothing. Returns the lanes that have rows left, wherever: another run's message with a lower id may have committed later. A row that this snapshot does not see commits
-- later still, and a pass that begins later finds it.
with acknowledged as materialized (
    select * from unnest($2::bigint[], $3::bigint[], $4::bigint[]) as a (lane, id, begin)
), gone as (
    -- By address: a join may read the whole table. A row that another relay postpones in this moment stays, and is delivered again.
    delete from actors.outbox
    where ctid = any (array(
        select r.ctid from acknowledged a
        cross join lateral (select o.ctid from actors.outbox o where o.lane = a.lane and o.id = a.id limit 1) r))
)
select l.lane
from (select a.lane, array_agg(a.id) as ids, min(a.begin) as begin from acknowledged a group by a.lane) l
where (select o.id from actors.outbox o
       where o.lane = l.lane and o.destination = $1 and o.id >= l.begin and o.id <> all (l.ids) order by o.id limit 1) is not null
