-- Fifty durable steps in one transaction and one round trip, a statement for each table: what Postgres does when commits cost nothing.
-- Two transactions take the same fifty workflows or none in common: no deadlocks.
\set w random(0, 199) * 50 + 1
\set p random(1, 2000000000)
\startpipeline
begin;
update pgb.workflows set position = position + 1 where instance between :w and :w + 49 and epoch = 1;
insert into pgb.journal (instance, at, position, seq, kind, name, payload) select n, now(), :p, 1, 1, 'step', '{"text":"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"}' from generate_series(:w, :w + 49) n on conflict do nothing;
insert into pgb.outbox (instance, at, ordinal, destination, key, payload) select n, now(), 1, 'bench', 'k', '{"done":1}' from generate_series(:w, :w + 49) n;
commit;
\endpipeline
