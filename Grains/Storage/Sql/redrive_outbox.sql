-- Called by OutboxTable: $1 destination, $2 at most so many. Moves the oldest dead letters back with all their attempts before them. They get
-- new ids: they go in their old order, and behind what their lanes hold now. Returns how many.
with oldest as (
    select d.id from actors.dead_letters d where d.destination = $1 order by d.id limit $2 for update
), back as (
    delete from actors.dead_letters d using oldest o where d.id = o.id returning d.*
), moved as (
    insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key, payload, bytes)
    select b.instance, actors.lane_of(b.instance, b.destination, b.key), b.at, b.ordinal, b.destination, b.topic, b.key, b.payload, b.bytes from back b order by b.id
    returning 1
)
select count(*) from moved
