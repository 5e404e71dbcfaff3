-- Called by JournalWriter after advance_workflows, in its transaction: the row locks make the order of ids within a run the order of
-- its commits. One row a message and destination.
insert into actors.outbox (instance, at, ordinal, partition, destination, topic, key, payload, bytes)
select m.instance, actors.now(), m.ordinal, m.partition, m.destination, m.topic, m.key, m.payload, m.bytes
from unnest($1::bigint[], $2::integer[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::json[], $8::bytea[])
    as m (instance, ordinal, partition, destination, topic, key, payload, bytes)
