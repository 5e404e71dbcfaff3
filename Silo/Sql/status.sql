-- Called by StatusText: what is there, in one row. Ended runs are estimated from the table's statistics, since counting them reads them all.
select (select count(*) from actors.silos where left_at is null and dead_at is null and alive_until > actors.now()) as silos,
       (select count(*) from actors.runs where owner is not null) as resident,
       (select nullif(reltuples, -1)::bigint from pg_class where oid = 'actors.runs'::regclass) as workflows,
       (select count(*) from actors.timers) as timers,
       (select count(*) from actors.inbox where state <> 1) as inbox,
       (select count(*) from actors.outbox) as outbox,
       (select count(*) from actors.dead_letters) as dead,
       (select count(*) from actors.runs where status = 3 and status::integer > 1) as set_aside,
       (select count(*) from actors.waits where lacks is not null) as left_alone
