-- Called by OutboxTable after the last attempt: $1 lanes, $2 ids, $3 attempts, $4 reasons. A message is in the outbox or a dead letter,
-- never both or neither. A repeat changes nothing.
with dead as (
    delete from actors.outbox o
    using unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::text[]) as f (lane, id, attempts, reason)
    where o.lane = f.lane and o.id = f.id
    returning o.*, f.attempts as attempts_made, f.reason
)
insert into actors.dead_letters (id, instance, at, died_at, ordinal, attempts, destination, topic, key, reason, payload, bytes)
select d.id, d.instance, d.at, actors.now(), d.ordinal, d.attempts_made, d.destination, d.topic, d.key, d.reason, d.payload, d.bytes
from dead d
