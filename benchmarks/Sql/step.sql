-- One durable step as one transaction, all statements in one round trip: the workflow's row, the step's row, the message's row.
\set w random(1, 10000)
\set p random(1, 2000000000)
\startpipeline
begin;
update pgb.workflows set position = position + 1 where instance = :w and epoch = 1;
insert into pgb.journal (instance, at, position, seq, kind, name, payload) values (:w, now(), :p, 1, 1, 'step', '{"text":"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"}') on conflict do nothing;
insert into pgb.outbox (instance, at, ordinal, destination, key, payload) values (:w, now(), 1, 'bench', 'k', '{"done":1}');
commit;
\endpipeline
