-- Called by Migrator. True once migration 0000 is committed. Reads the catalog itself: to_regclass answers from the connection's cache,
-- which has not heard of what others committed while this transaction waited for the lock.
select exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'actors' and c.relname = 'migrations');
