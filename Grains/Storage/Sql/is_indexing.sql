-- Called by OnlineIndex. True while a session builds or drops an index of table $1 online, or waits to: it holds this lock, or asks for
-- it, from its first moment to its last, also when its client has died. Autovacuum takes the same lock; it has no role, and makes way.
-- A transaction sees the sessions as they were at its first look, unless it forgets them.
select case when pg_stat_clear_snapshot() is not null then exists (
    select from pg_catalog.pg_locks l
    join pg_catalog.pg_stat_activity a on a.pid = l.pid and a.usesysid is not null
    join pg_catalog.pg_class c on c.oid = l.relation and c.relname = $1
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace and n.nspname = 'actors'
    where l.locktype = 'relation' and l.mode = 'ShareUpdateExclusiveLock'
        and l.database = (select oid from pg_catalog.pg_database where datname = current_database())) end;
