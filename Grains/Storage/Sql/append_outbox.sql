-- Called by JournalWriter and by a Transaction after advance_runs, in the round trip of the COMMIT: a message whose commit had ended
-- before that was sent has a lower id, whatever its run. The row lock of the run makes the order of ids within a run the order of all its
-- commits. One row a message and destination.
insert into actors.outbox (instance, lane, at, ordinal, destination, topic, key, payload, bytes)
select m.instance, actors.lane_of(m.instance, m.destination, m.key), actors.now(), m.ordinal, m.destination, m.topic, m.key, m.payload, m.bytes
from unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::json[], $7::bytea[])
    as m (instance, ordinal, destination, topic, key, payload, bytes)
