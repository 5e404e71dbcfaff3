-- Called by OutboxTable after acknowledgements: $1 instances, $2 lanes, $3 ids. A repeat changes nothing. Returns the ids behind which
-- their lane has rows; a row that this snapshot does not see commits later, and a pass that begins later finds it.
with acknowledged as materialized (
    select * from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as a (instance, lane, id)
), gone as (
    -- By address: a join may read the whole table. A row that another relay postpones in this moment stays, and is delivered again.
    delete from actors.outbox
    where ctid = any (array(
        select r.ctid from acknowledged a
        cross join lateral (select o.ctid from actors.outbox o where o.instance = a.instance and o.lane = a.lane and o.id = a.id limit 1) r))
)
select a.id from acknowledged a
where (select o.id from actors.outbox o where o.instance = a.instance and o.lane = a.lane and o.id > a.id order by o.id limit 1) is not null
